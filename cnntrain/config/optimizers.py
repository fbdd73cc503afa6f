"""The optimizers: a closed set, told apart by `name`. The formulas are torch's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cnntrain.config.section import FROM_LIST, BelowOne, Betas, Section
from cnntrain.core.kinds import NonNegativeFloat, PositiveFloat


class Group(Section):
    """Other settings for the parameters whose names match a pattern."""

    names: str
    """Shell pattern of layers or parameters, such as fc* or *.bias; it must match something."""
    lr_factor: NonNegativeFloat | None = None
    """Factor of the learning rate; 0 keeps the parameters as they are."""
    weight_decay: NonNegativeFloat | None = None
    """Weight decay of these parameters."""


Groups = Annotated[tuple[Group, ...], FROM_LIST]


class Sgd(Section):
    """Stochastic gradient descent: v <- momentum v + g; w <- w - lr v."""

    name: Literal["sgd"]
    """sgd."""
    lr: PositiveFloat
    """Learning rate, at the schedule's top."""
    momentum: BelowOne = 0.9
    """Share of the velocity that each step keeps."""
    nesterov: bool = False
    """Take the gradient's step ahead of the velocity's (Nesterov)."""
    weight_decay: NonNegativeFloat = 0.0
    """L2: this times the weight is added to its gradient."""
    decay_norm_and_bias: bool = False
    """Decay biases and the weights of normalisations too."""
    groups: Groups = ()
    """Other settings for some parameters; of several that match, a later one overrides."""


class Adam(Section):
    """Adam (Kingma and Ba 2015); weight decay enters through the gradient."""

    name: Literal["adam"]
    """adam."""
    lr: PositiveFloat
    """Learning rate, at the schedule's top."""
    betas: Betas = (0.9, 0.999)
    """Shares that the averages of the gradient and of its square keep in each step."""
    epsilon: PositiveFloat = 1e-8
    """Added to the root of the second average."""
    weight_decay: NonNegativeFloat = 0.0
    """L2: this times the weight is added to its gradient."""
    decay_norm_and_bias: bool = False
    """Decay biases and the weights of normalisations too."""
    groups: Groups = ()
    """Other settings for some parameters; of several that match, a later one overrides."""


class AdamW(Section):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019)."""

    name: Literal["adamw"]
    """adamw."""
    lr: PositiveFloat
    """Learning rate, at the schedule's top."""
    betas: Betas = (0.9, 0.999)
    """Shares that the averages of the gradient and of its square keep in each step."""
    epsilon: PositiveFloat = 1e-8
    """Added to the root of the second average."""
    weight_decay: NonNegativeFloat = 0.01
    """Each step takes lr times this share off the weights."""
    decay_norm_and_bias: bool = False
    """Decay biases and the weights of normalisations too."""
    groups: Groups = ()
    """Other settings for some parameters; of several that match, a later one overrides."""


Optimizer = Annotated[Sgd | Adam | AdamW, Field(discriminator="name")]
