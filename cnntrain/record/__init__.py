"""Observers of training: each reads the events of a run and writes them down in one form."""

from cnntrain.core.choices import OBSERVERS

observer = OBSERVERS.register
