"""The sections `train` and `finetune`: how weights are found, and whose they are at the start.

Fine-tuning is transfer learning: a network trained on many images, a new last layer for one's own
classes, the early layers frozen or nearly so, and then a refinement.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from cnntrain.config.section import FROM_LIST, Call, Choice, Section
from cnntrain.config.task_section import LossSection
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.choices import OPTIMIZERS, PENALTIES, SCHEDULES
from cnntrain.core.kinds import (
    BelowOne,
    Fraction,
    Names,
    NonNegativeFloat,
    Positive,
    PositiveFloat,
)

AUTO = "auto"
"""In the place of a number that is to be found before training."""

USUAL_BATCH, USUAL_RATE = 64, 0.01
"""What counts as the number until it is found."""


def _epoch(value: Any) -> Any:
    """YAML's keys are read as strings."""
    if isinstance(value, str) and re.fullmatch(r"0*[1-9][0-9]{0,8}", value):
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise ValueError("an epoch, counted from 1")


Epoch = Annotated[int, BeforeValidator(_epoch)]


class Group(Section):
    """Other settings for the parameters whose names match a pattern."""

    names: str
    """Shell pattern of layers or parameters, such as fc* or *.bias; it must match something."""
    lr_factor: NonNegativeFloat | None = None
    """Factor of the learning rate; 0 keeps the parameters as they are."""
    weight_decay: NonNegativeFloat | None = None
    """Weight decay of these parameters."""


class OptimizerSection(Choice):
    """How a gradient moves the weights."""

    catalogue: ClassVar[Catalogue] = OPTIMIZERS
    usual: ClassVar[str] = "sgd"

    name: str
    """A registered optimizer; see `cnntrain list optimizers`."""
    lr: PositiveFloat | Literal["auto"]
    """Peak learning rate, before the schedule's factor; auto: found by short trials."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The optimizer's own keys."""
    weight_decay: NonNegativeFloat = 0.0
    """L2: this times the weight is added to its gradient; decoupled: lr times it is taken off."""
    decay_norm_and_bias: bool = False
    """Decay biases and the weights of normalisations too."""
    groups: Annotated[tuple[Group, ...], FROM_LIST] = ()
    """Other settings for some parameters; of several that match, a later one overrides."""

    @property
    def rate(self) -> float:
        """`lr`, or what counts until it is found."""
        return USUAL_RATE if self.lr == AUTO else float(self.lr)


class ScheduleSection(Choice):
    """How the learning rate changes: a factor of the optimizer's `lr`."""

    catalogue: ClassVar[Catalogue] = SCHEDULES
    usual: ClassVar[str] = "constant"
    needs_name: ClassVar[bool] = False

    name: str
    """A registered schedule, see `cnntrain list schedules`; by default constant."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The schedule's own keys."""
    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs over which the learning rate rises to its top in a line, before the schedule."""

    @property
    def reads_validation(self) -> bool:
        """Whether it follows the validation error, as plateau does."""
        return bool(self.entry.options.get("reads_validation"))


class LrScalingSection(Section):
    """Linear scaling: the learning rate grows with the batch (Goyal et al. 2017, section 2.1)."""

    reference_batch: Positive
    """The batch size that `optimizer.lr` is for; a batch b times as large has b times the rate."""


class EmaSection(Section):
    """An exponential moving average of the weights, which is what gets evaluated."""

    decay: BelowOne
    """Share of the average that each step keeps."""


class EarlyStopSection(Section):
    """Stop when the validation error, or what `select` names, no longer improves."""

    patience: Positive
    """Evaluations without a new best one after which training stops."""
    min_delta: NonNegativeFloat = 0.0
    """By how much the error (a fraction) must fall to count as lower."""


class PenaltyCall(Call):
    """One penalty on what layers give, with its parameters."""

    catalogue: ClassVar[Catalogue] = PENALTIES


class TrainSection(Section):
    """How the weights are found."""

    epochs: Positive
    """Passes over the training images."""
    accumulate: Positive = 1
    """Parts in which each batch goes through the network: less memory, the same gradient."""
    loss: LossSection = Field(default_factory=LossSection.default)
    """The loss to minimise."""
    optimizer: OptimizerSection
    """How a gradient moves the weights."""
    schedule: ScheduleSection = Field(default_factory=ScheduleSection.default)
    """How the learning rate changes."""
    lr_scaling: LrScalingSection | None = None
    """Scale the learning rate with data.batch_size; null: it is what `optimizer` says."""
    l1: NonNegativeFloat = 0.0
    """Factor of the sum of all decayed weights' magnitudes, added to the loss."""
    penalties: Annotated[tuple[PenaltyCall, ...], FROM_LIST] = ()
    """What layers give, added to the loss: sparsity and others; each `name: {layers: [...]}`."""
    clip_norm: PositiveFloat | None = None
    """Gradients are scaled down to this norm if theirs is larger."""
    ema: EmaSection | None = None
    """An average of the weights over the steps, evaluated in their place; null: none."""
    recalibrate: bool = False
    """After the last epoch, measure the best weights' batch-norm statistics on all images again."""
    early_stop: EarlyStopSection | None = None
    """When to stop before the last epoch; null: never."""
    select: str | None = None
    """What picks the weights in best.pt: loss, last, or what the task names (null: its first)."""
    on_divergence: Literal["stop", "skip", "rollback"] = "stop"
    """A loss or gradient that is not finite: stop; skip the step; roll back, with half the rate."""
    evaluate_every: Positive = 1
    """Epochs from one evaluation on the validation images to the next; the last always has one."""
    evaluate_views: Literal[1, 2, 6] = 1
    """Views whose outputs are averaged in evaluation: 2 with the mirror image; 6 also shifted."""
    freeze: dict[Epoch, Names] = Field(default_factory=dict)
    """Epoch: layers, by name or shell pattern, that are frozen from that epoch on."""


class WeightsSection(Section):
    """Where the weights come from: exactly one of `torchvision`, `hub`, `run` and `file`."""

    torchvision: str | None = None
    """A set of torchvision's, such as resnet50/IMAGENET1K_V2; downloaded once."""
    hub: str | None = None
    """A repository of the Hugging Face hub, such as timm/resnet50.a1_in1k."""
    revision: str | None = None
    """A commit, a tag or a branch of the hub's; null: main. The run keeps the commit."""
    download: bool = False
    """Fetch the hub's files if the cache of huggingface_hub does not have them."""
    run: str | None = None
    """A run's folder, runs/NAME for the latest of that name, or one of its checkpoints."""
    file: str | None = None
    """A file with a state_dict, of torch or safetensors, whatever its suffix; never code."""
    entry: str | None = None
    """The key in the file under which the weights are, such as model_ema; null: the usual ones."""
    rename: str | dict[str, Any] | None = None
    """A map of names, `ours: theirs`, or the name of a .yaml file with one."""


class FinetuneSection(Section):
    """Transfer learning: weights to start from, and what may change of them."""

    weights: WeightsSection
    """Where the weights come from."""
    head: Literal["auto", "new", "keep"] = "auto"
    """The last layer: auto makes a new one unless it was trained for the same classes."""
    least_loaded: Fraction = 0.9
    """Share of the network's weights, the head apart, below which loading is an error."""
    freeze: Names = ()
    """Layers, by name or shell pattern, whose weights and batch-norm statistics are frozen."""
    unfreeze: dict[Epoch, Names] = Field(default_factory=dict)
    """Epoch: frozen layers (patterns) that learn from that epoch on."""
    lr_scale: dict[str, NonNegativeFloat] = Field(default_factory=dict)
    """Layer (name or pattern): factor of its learning rate."""
    layer_decay: PositiveFloat | None = None
    """Factor of the learning rate from each stage to the one before it; the head has 1."""
    l2_sp: NonNegativeFloat = 0.0
    """Weight decay towards the loaded weights in place of zero (Li et al. 2018, L2-SP)."""
    probe: bool = False
    """Linear probe: all but the head is frozen, and its features are computed once."""
