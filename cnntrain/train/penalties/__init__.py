"""Penalties on what layers give, one in each file: added to the loss, as weight decay is."""

from cnntrain.core.choices import PENALTIES

penalty = PENALTIES.register
