"""Optimizers, schedules (pure functions of the step) and parameter groups."""

from cnntrain.core.choices import OPTIMIZERS, SCHEDULES
from cnntrain.optim.groups import (
    GroupRule,
    ParameterGroup,
    decayed_weights,
    parameter_groups,
    set_learning_rate,
)
from cnntrain.optim.warmup import Schedule, Warmup

__all__ = [
    "GroupRule",
    "ParameterGroup",
    "Schedule",
    "Warmup",
    "decayed_weights",
    "optimizer",
    "parameter_groups",
    "schedule",
    "set_learning_rate",
]

optimizer = OPTIMIZERS.register
schedule = SCHEDULES.register
