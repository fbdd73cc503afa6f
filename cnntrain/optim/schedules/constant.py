"""No change of the learning rate."""

from __future__ import annotations

from cnntrain.optim import schedule
from cnntrain.optim.warmup import Schedule


@schedule("constant")
def constant() -> Schedule:
    """The learning rate stays."""
    return lambda done: 1.0
