"""The schedules of the learning rate: a closed set, told apart by `name`.

Each gives a factor of the optimizer's `lr`. During `warmup_epochs` the factor rises in a straight
line from 0 to 1; the schedule's own course follows.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cnntrain.config.section import BelowOne, Milestones, Section
from cnntrain.core.kinds import Fraction, NonNegativeFloat, Positive, PositiveFloat

FactorBelowOne = Annotated[float, Field(gt=0, lt=1)]


class Constant(Section):
    """The learning rate stays."""

    name: Literal["constant"] = "constant"
    """constant."""
    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs over which the learning rate rises to its top."""


class Step(Section):
    """A factor after every so many epochs."""

    name: Literal["step"]
    """step."""
    every: Positive
    """Epochs from one change to the next."""
    factor: FactorBelowOne = 0.1
    """Factor of each change."""
    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs over which the learning rate rises to its top."""


class MultiStep(Section):
    """A factor after each of the given epochs."""

    name: Literal["multi_step"]
    """multi_step."""
    milestones: Milestones
    """Epochs after which the learning rate changes."""
    factor: FactorBelowOne = 0.1
    """Factor of each change."""
    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs over which the learning rate rises to its top."""


class Exponential(Section):
    """A factor per epoch, applied in every step."""

    name: Literal["exponential"]
    """exponential."""
    factor: FactorBelowOne
    """Factor of one epoch."""
    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs over which the learning rate rises to its top."""


class Cosine(Section):
    """Half a cosine down to the floor at the last step (Loshchilov and Hutter 2017)."""

    name: Literal["cosine"]
    """cosine."""
    floor: BelowOne = 0.0
    """Factor at the end."""
    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs over which the learning rate rises to its top."""


class Polynomial(Section):
    """A power of the remaining share of the training; 1 is a straight line."""

    name: Literal["polynomial"]
    """polynomial."""
    power: PositiveFloat = 1.0
    """The power."""
    floor: BelowOne = 0.0
    """Factor at the end."""
    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs over which the learning rate rises to its top."""


class Plateau(Section):
    """Divide the learning rate when the validation error settles."""

    name: Literal["plateau"]
    """plateau."""
    patience: Positive = 5
    """Evaluations without a new lowest validation error after which it is divided."""
    divide_by: Annotated[float, Field(gt=1)] = 10.0
    """What it is divided by."""
    min_delta: Fraction = 0.0
    """By how much the error (a fraction) must fall to count as lower."""
    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs over which the learning rate rises to its top."""


Schedule = Annotated[
    Constant | Step | MultiStep | Exponential | Cosine | Polynomial | Plateau,
    Field(discriminator="name"),
]
