"""The section `pretrain`: greedy layer-wise training of the first layers, without labels.

Each stage is an autoencoder of what the stage before it gives: Hinton and Salakhutdinov, "Reducing
the Dimensionality of Data with Neural Networks", 2006; Bengio, Lamblin, Popovici and Larochelle,
"Greedy Layer-Wise Training of Deep Networks", 2007.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from cnntrain.config.section import FROM_LIST, Section
from cnntrain.config.task_section import LossSection
from cnntrain.config.train_section import OptimizerSection, PenaltyCall, ScheduleSection
from cnntrain.core.kinds import Positive, PositiveFloat


class StageSection(Section):
    """One stage: layers that learn to code what they read, so that a decoder can give it back."""

    to: str
    """The last of its layers; the first is the one behind the stage before it."""
    decoder: list[Any]
    """Layers, as in `arch`, from what the last one gives back to what the first one reads."""
    noise: str | dict[str, Any] | None = None
    """A layer that spoils what the first one reads, such as {masking_noise: {p: 0.25}}."""
    epochs: Positive | None = None
    """Passes over the training images; null: pretrain.epochs."""
    lr: PositiveFloat | None = None
    """Peak learning rate; null: that of the optimizer."""
    loss: LossSection | None = None
    """The loss to minimise; null: pretrain.loss."""
    penalties: Annotated[tuple[PenaltyCall, ...], FROM_LIST] = ()
    """What layers of the stage give, added to the loss: sparsity and others."""


class PretrainSection(Section):
    """Greedy layer-wise pre-training: one autoencoder after the other, then all of `train`."""

    epochs: Positive
    """Passes of each stage over the training images, with labels or without (data.split.train)."""
    optimizer: OptimizerSection | None = None
    """How a gradient moves the weights of a stage; null: as in `train`."""
    schedule: ScheduleSection = Field(default_factory=ScheduleSection.default)
    """How the learning rate changes in each stage."""
    loss: LossSection = Field(default_factory=lambda: LossSection(name="mse"))
    """The loss to minimise."""
    stages: Annotated[tuple[StageSection, ...], FROM_LIST]
    """The stages, the lowest first."""
