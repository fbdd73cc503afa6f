"""The run file, top down: every key, its type, its default and what it means.

`train` and `finetune` have a file of their own. `arch` is checked by `cnntrain.arch`, which knows
the layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from cnntrain.config.pretrain_section import PretrainSection, StageSection
from cnntrain.config.section import (
    FROM_LIST,
    SHARES,
    Call,
    Choice,
    Device,
    FoldOf,
    HeldOut,
    RunName,
    Section,
    Share,
    Workers,
)
from cnntrain.config.task_section import LossSection, TaskSection
from cnntrain.config.train_section import (
    AUTO,
    USUAL_BATCH,
    FinetuneSection,
    OptimizerSection,
    ScheduleSection,
    TrainSection,
)
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.choices import DATASETS, OBSERVERS, TRANSFORMS
from cnntrain.core.document import KeyPath
from cnntrain.core.kinds import ClassList, Decoder, Names, NonNegative, Positive
from cnntrain.data import metadata


class ComputeSection(Section):
    """Where and how the arithmetic is done."""

    device: Device = "auto"
    """auto (a GPU where there is one), cpu, cuda, cuda:N or mps."""
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    """Type of numbers in convolutions and products; auto: bfloat16 on a GPU that has it."""
    channels_last: bool | Literal["auto"] = "auto"
    """Store images with the channels innermost; auto: where it is faster."""
    copy_ahead: bool = False
    """Copy streamed batches to a GPU on a stream of its own, while the one before is trained on."""
    compile: bool = False
    """Compile the network once, with torch.compile; `bench --compile` shows the gain."""
    cuda_graphs: bool = False
    """Give a GPU each training step all at once, as a CUDA graph: for small networks."""
    deterministic: bool = False
    """Same seed, same result to the last bit on a GPU too; slower."""
    threads: Positive | None = None
    """CPU threads; null: torch's choice."""
    sync_batch_norm: bool = False
    """Several processes normalise over the whole batch, not each over its slice; CUDA only."""


class TransformCall(Call):
    """One transform with its parameters."""

    catalogue: ClassVar[Catalogue] = TRANSFORMS


TransformCalls = Annotated[tuple[TransformCall, ...], FROM_LIST]
NORMALIZE = TransformCall(name="normalize")


class TransformsSection(Section):
    """What is done to the images, in order; each item is a name or `name: {parameters}`."""

    train: TransformCalls = (NORMALIZE,)
    """Done to training images, drawn again in every epoch."""
    eval: TransformCalls = (NORMALIZE,)
    """Done to the images of validation, test and prediction."""


class SplitSection(Section):
    """Images held out of the training images, of each class in proportion to its size."""

    validation: HeldOut = None
    """A fraction of the images, a count, or one fold; false: none; null: what the data set has."""
    test: Share = None
    """A fraction of the images, or a count; null: what the data set has."""
    train: Share = None
    """How many of the others are trained on, a fraction or a count, by class; null: all."""
    validation_classes: Annotated[ClassList, FROM_LIST] = ()
    """Classes of which no image trains and validation has all; for tasks of distances."""
    test_classes: Annotated[ClassList, FROM_LIST] = ()
    """Classes of which no image trains and the test set has all; for tasks of distances."""
    seed: NonNegative | None = None
    """Decides which images are held out; null: the run's seed."""

    @property
    def set_apart(self) -> tuple[str, ...]:
        """The classes of which no image trains."""
        return (*self.validation_classes, *self.test_classes)


class CacheSection(Section):
    """Decoded images on the disk, made once and shared by runs."""

    short_side: Positive
    """Larger images are kept resized to a shorter side of so many pixels."""
    folder: str | None = None
    """Where they are kept; null: in the user's cache folder."""


class DataSection(Choice):
    """The images, and what is done to them."""

    catalogue: ClassVar[Catalogue] = DATASETS

    name: str
    """A registered data set; see `cnntrain list datasets`."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The data set's own parameters; they stand in the file beside the keys of this section."""
    split: Annotated[SplitSection, SHARES] = SplitSection()
    """Which of the training images are held out for validation, and which as a test set."""
    sampling: Literal["natural", "balanced"] = "natural"
    """natural: each training image once an epoch; balanced: classes are drawn equally often."""
    images_per_class: Annotated[int, Field(ge=2)] | None = None
    """Images of a class that stand together in a batch to be compared; null: as chance has it."""
    batch_size: Positive | Literal["auto"] = 64
    """Images in one batch; auto: the smallest that is about as fast as larger ones."""
    eval_batch_size: Positive | None = None
    """Images in one batch of evaluation; null: chosen for speed, with no effect on results."""
    drop_last: bool = False
    """Leave out an epoch's last batch if it is not full."""
    transforms: TransformsSection = TransformsSection()
    """What is done to the images, in order."""
    workers: Workers = "auto"
    """Processes that read images; auto: as many as the machine serves."""
    memory: Literal["auto", "resident", "stream"] = "auto"
    """resident: all images in the device's memory; stream: read as they are needed."""
    decoder: Decoder = "pillow"
    """Decodes the JPEGs of training batches; simplejpeg is faster, and an extra: cnntrain[fast]."""
    cache: CacheSection | None = None
    """Keep training images decoded on the disk; null: decode them in every epoch."""
    fingerprint: Literal["names", "content", "off"] = "names"
    """What a resume compares: names, sizes and classes of files; their content too; nothing."""

    @property
    def batch(self) -> int:
        """Images in one batch: `batch_size`, or what counts until it is found."""
        return USUAL_BATCH if self.batch_size == AUTO else int(self.batch_size)

    def holdout(self, *, seed: int) -> metadata.Holdout:
        """`split`, as the room below knows it; `seed` is the run's."""
        asked = self.split
        found = asked.validation
        return metadata.Holdout(
            metadata.Fold(found.fold, found.of) if isinstance(found, FoldOf) else found,
            asked.test,
            seed if asked.seed is None else asked.seed,
            asked.train,
            asked.validation_classes,
            asked.test_classes,
        )


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
    best_weights_only: bool = False
    """best.pt holds weights and no optimizer's state: smaller, and not to be resumed from."""
    resume: Literal["never", "auto"] = "never"
    """auto: `fit` continues the newest run of this file if it was cut off, as `--resume auto`."""
    observers: Annotated[tuple[ObserverCall, ...], FROM_LIST] = ()
    """More observers of the training, from plugins; each a name or `name: {parameters}`."""


CHOICE_SECTIONS: Mapping[KeyPath, type[Choice]] = {
    ("task",): TaskSection,
    ("data",): DataSection,
    ("train", "optimizer"): OptimizerSection,
    ("train", "schedule"): ScheduleSection,
    ("train", "loss"): LossSection,
    ("pretrain", "optimizer"): OptimizerSection,
    ("pretrain", "schedule"): ScheduleSection,
    ("pretrain", "loss"): LossSection,
}
"""The sections that choose one entry of a catalogue, and its keys."""

CALL_SECTIONS: Mapping[KeyPath, type[Section]] = {
    ("data", "transforms"): TransformsSection,
    ("train",): TrainSection,
    ("record",): RecordSection,
}
"""The sections with lists of calls."""


def stage_sections(
    tree: Mapping[str, Any],
) -> tuple[dict[KeyPath, type[Choice]], dict[KeyPath, type[Section]]]:
    """The same two of each stage of pre-training that a run file has."""
    section = tree.get("pretrain")
    stages = section.get("stages") if isinstance(section, Mapping) else None
    paths: list[KeyPath] = [
        ("pretrain", "stages", n) for n in range(len(stages) if isinstance(stages, list) else 0)
    ]
    return {(*path, "loss"): LossSection for path in paths}, dict.fromkeys(paths, StageSection)


class RunConfig(Section):
    """A run file: a network, its data, and how it is trained."""

    name: RunName
    """Name of the run and of its folder; the run file's own name if not given."""
    seed: NonNegative = 0
    """Where all randomness starts: weights, order of the images, augmentation, dropout."""
    plugins: Names = ()
    """Python files with layers, optimizers, losses and so on of your own; relative to this file."""
    arch: dict[str, Any]
    """The network: vars, blocks, layers, heads, aux, init; or the name of a .yaml file of them."""
    vars: dict[str, Any] = Field(default_factory=dict)
    """Values for the architecture's `vars`."""
    compute: ComputeSection = ComputeSection()
    """Where and how the arithmetic is done."""
    data: DataSection
    """The images, and what is done to them."""
    task: TaskSection = Field(default_factory=TaskSection.default)
    """What the network is for."""
    finetune: FinetuneSection | None = None
    """Weights to start from, and what may change of them; null: start from scratch."""
    pretrain: PretrainSection | None = None
    """Layers that are trained first, one stage after the other, without labels; null: none."""
    train: TrainSection | None = None
    """How the weights are found; may be left out where `finetune` only lends them to be used."""
    record: RecordSection = RecordSection()
    """What is kept of a run, and where."""
