"""The `train` section: loss, optimizer, schedule and what stops or smooths the training."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from cnntrain.config.optimizers import Optimizer
from cnntrain.config.schedules import Constant, Schedule
from cnntrain.config.section import BelowOne, Section, Weights
from cnntrain.core.kinds import NonNegativeFloat, Positive, PositiveFloat


class CrossEntropy(Section):
    """Cross entropy of the softmax: minus the logarithm of the right class's probability."""

    name: Literal["cross_entropy"] = "cross_entropy"
    """cross_entropy."""
    label_smoothing: BelowOne = 0.0
    """Share of the target that is spread evenly over all classes."""
    class_weights: Literal["balanced"] | Weights | None = None
    """A factor for each class; balanced: inverse to its number of training images."""


class MeanSquaredError(Section):
    """Mean squared error between the outputs and the one-hot targets."""

    name: Literal["mse"]
    """mse."""


Loss = Annotated[CrossEntropy | MeanSquaredError, Field(discriminator="name")]


class Ema(Section):
    """An exponential moving average of the weights, which is what gets evaluated."""

    decay: BelowOne
    """Share of the average that each step keeps."""


class EarlyStop(Section):
    """Stop when the validation error no longer falls."""

    patience: Positive
    """Evaluations without a new lowest validation error after which training stops."""
    min_delta: NonNegativeFloat = 0.0
    """By how much the error (a fraction) must fall to count as lower."""


class Train(Section):
    """How the weights are found."""

    epochs: Positive
    """Passes over the training images."""
    accumulate: Positive = 1
    """Parts in which each batch goes through the network: less memory, the same gradient."""
    loss: Loss = CrossEntropy()
    """What is made small."""
    optimizer: Optimizer
    """How a gradient moves the weights."""
    schedule: Schedule = Constant()
    """How the learning rate changes."""
    l1: NonNegativeFloat = 0.0
    """Factor of the sum of all decayed weights' magnitudes, added to the loss."""
    clip_norm: PositiveFloat | None = None
    """Gradients are scaled down to this norm if theirs is larger."""
    ema: Ema | None = None
    """An average of the weights over the steps, evaluated in their place; null: none."""
    recalibrate: bool = False
    """After the last epoch, measure the best weights' batch-norm statistics on all images anew."""
    early_stop: EarlyStop | None = None
    """When to stop before the last epoch; null: never."""
    evaluate_every: Positive = 1
    """Epochs from one evaluation on the validation images to the next; the last always has one."""
