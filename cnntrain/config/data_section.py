"""The `data` section: keys of every data set; the chosen one's own stand beside them."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from cnntrain.config.choice import Call, Choice
from cnntrain.config.section import FROM_LIST, FoldOf, HeldOut, Section, Workers
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.choices import DATASETS, TRANSFORMS
from cnntrain.core.kinds import Positive
from cnntrain.data import metadata


class TransformCall(Call):
    """One transform with its parameters."""

    catalogue: ClassVar[Catalogue] = TRANSFORMS


TransformCalls = Annotated[tuple[TransformCall, ...], FROM_LIST]
NORMALIZE = TransformCall(name="normalize")


class TransformsSection(Section):
    """What is done to the images, in order; each item is a name or `name: {parameters}`."""

    train: TransformCalls = (NORMALIZE,)
    """Done to training images, drawn anew in every epoch."""
    eval: TransformCalls = (NORMALIZE,)
    """Done to the images of validation, test and prediction."""


class DataSection(Choice):
    """The images, and what is done to them."""

    catalogue: ClassVar[Catalogue] = DATASETS

    name: str
    """A registered data set; see `cnntrain list datasets`."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The data set's own parameters; they stand in the file beside the keys of this section."""
    validation: HeldOut = None
    """Training images held out for validation: a fraction, a count or one fold; null: none."""
    sampling: Literal["natural", "balanced"] = "natural"
    """natural: each training image once an epoch; balanced: classes are drawn equally often."""
    batch_size: Positive = 64
    """Images in one batch."""
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

    @property
    def held_out(self) -> metadata.HeldOut:
        """`validation`, as the room below knows it."""
        found = self.validation
        return metadata.Fold(found.fold, found.of) if isinstance(found, FoldOf) else found
