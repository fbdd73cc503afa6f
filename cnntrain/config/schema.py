"""The run file, top down: every key, its type, its default and what it means.

The sections `data`, `finetune` and `train` have files of their own. `arch` is checked by
`cnntrain.arch`, which knows the layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from cnntrain.config.choice import Call, Choice
from cnntrain.config.data_section import DataSection, TransformsSection
from cnntrain.config.finetune_section import FinetuneSection
from cnntrain.config.section import FROM_LIST, Device, RunName, Section
from cnntrain.config.train_section import (
    LossSection,
    OptimizerSection,
    ScheduleSection,
    TaskSection,
    TrainSection,
)
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.choices import OBSERVERS
from cnntrain.core.document import KeyPath
from cnntrain.core.kinds import Names, NonNegative, Positive


class ComputeSection(Section):
    """Where and how the arithmetic is done."""

    device: Device = "auto"
    """auto (a GPU where there is one), cpu, cuda, cuda:N or mps."""
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Type of the numbers in convolutions and products; weights stay float32."""
    channels_last: bool | Literal["auto"] = "auto"
    """Store images with the channels innermost; auto: where it is faster."""
    compile: bool = False
    """Compile the network with torch.compile: a slow start, then faster steps."""
    deterministic: bool = False
    """Same seed, same result to the last bit on a GPU too; slower."""
    threads: Positive | None = None
    """CPU threads; null: torch's choice."""


class ObserverCall(Call):
    """One observer with its parameters."""

    catalogue: ClassVar[Catalogue] = OBSERVERS


class RecordSection(Section):
    """What is kept of a run, and where."""

    root: str = "runs"
    """Folder of the runs; each gets root/name/time."""
    every: Positive = 50
    """Steps from one line of training metrics to the next."""
    tensorboard: bool = True
    """Write TensorBoard event files."""
    checkpoint_every: Positive | None = None
    """Steps from one checkpoint to the next, besides the one after each epoch."""
    observers: Annotated[tuple[ObserverCall, ...], FROM_LIST] = ()
    """More observers of the training, from plugins; each a name or `name: {parameters}`."""


CHOICE_SECTIONS: Mapping[KeyPath, type[Choice]] = {
    ("task",): TaskSection,
    ("data",): DataSection,
    ("train", "optimizer"): OptimizerSection,
    ("train", "schedule"): ScheduleSection,
    ("train", "loss"): LossSection,
}
"""The sections that choose one entry of a catalogue, and its keys."""

CALL_SECTIONS: Mapping[KeyPath, type[Section]] = {
    ("data", "transforms"): TransformsSection,
    ("record",): RecordSection,
}
"""The sections with lists of calls."""


class RunConfig(Section):
    """A run file: a network, its data, and how it is trained."""

    name: RunName
    """Name of the run and of its folder; the run file's own name if not given."""
    seed: NonNegative = 0
    """Where all randomness starts: weights, order of the images, augmentation, dropout."""
    plugins: Names = ()
    """Python files with layers, optimizers, losses and so on of your own; relative to this file."""
    arch: dict[str, Any]
    """The network: vars, blocks, layers, aux, init; or the name of a .yaml file with them."""
    vars: dict[str, Any] = Field(default_factory=dict)
    """Values for the architecture's `vars`."""
    compute: ComputeSection = ComputeSection()
    """Where and how the arithmetic is done."""
    data: DataSection
    """The images, and what is done to them."""
    task: TaskSection = Field(default_factory=lambda: TaskSection.of(TaskSection.usual))
    """What the network is for."""
    finetune: FinetuneSection | None = None
    """Weights to start from, and what may change of them; null: start from scratch."""
    train: TrainSection | None = None
    """How the weights are found; may be left out where `finetune` only lends them to be used."""
    record: RecordSection = RecordSection()
    """What is kept of a run, and where."""
