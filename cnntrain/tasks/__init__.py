"""What a network is for, one task per file, with the losses that fit; decorators for one's own."""

from cnntrain.core.choices import LOSSES, TASKS

loss = LOSSES.register
task = TASKS.register
