"""Optimizers, schedules (pure functions of the step) and parameter groups."""

from cnntrain.core.choices import OPTIMIZERS, SCHEDULES
from cnntrain.optim.groups import GroupRule, ParameterGroup, parameter_groups
from cnntrain.optim.optimizers import adam, adamw, decayed_weights, set_learning_rate, sgd
from cnntrain.optim.plateau import Plateau, PlateauState
from cnntrain.optim.schedules import (
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    Polynomial,
    Schedule,
    StepDecay,
    Warmup,
)

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "GroupRule",
    "MultiStep",
    "ParameterGroup",
    "Plateau",
    "PlateauState",
    "Polynomial",
    "Schedule",
    "StepDecay",
    "Warmup",
    "adam",
    "adamw",
    "decayed_weights",
    "optimizer",
    "parameter_groups",
    "schedule",
    "set_learning_rate",
    "sgd",
]

optimizer = OPTIMIZERS.register
schedule = SCHEDULES.register
