"""What images are taken for by a model, or by several whose answers are averaged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Bits
from cnntrain.data.crops import Crops
from cnntrain.data.decode import UnreadableImageError
from cnntrain.data.left_out import tell
from cnntrain.data.read_ahead import read_ahead
from cnntrain.data.splits import Part
from cnntrain.model.inputs import Images, Input, inputs, left_out
from cnntrain.model.views import Refusal, Viewer, make_viewer
from cnntrain.show.progress import bar
from cnntrain.tasks.answers import Ranking, SaidOfImage, said, together

if TYPE_CHECKING:
    from cnntrain.model.model import Model

BATCH = 64


@dataclass(frozen=True)
class Prediction:
    """What one image was taken for.

    Args:
        name: of the image: its file, or its position among those that were given.
        ranking: class names with their probabilities, the most probable first; empty where the
            image cannot be read, and where the task is not to classify.
        error: why it cannot be read.
        other: what is said of it where the task is not to classify.
    """

    name: str
    ranking: tuple[tuple[str, float], ...]
    error: str = ""
    other: SaidOfImage | None = None

    @property
    def answer(self) -> SaidOfImage | None:
        """All that is said of it; None where the image cannot be read."""
        return None if self.error else self.other or Ranking(self.ranking)

    @property
    def label(self) -> str | None:
        """The most probable class; None where the image cannot be read."""
        return self.ranking[0][0] if self.ranking else None

    @property
    def probability(self) -> float | None:
        """Of that class."""
        return self.ranking[0][1] if self.ranking else None


def predict(
    models: Sequence[Model],
    images: Images,
    *,
    top: int = 5,
    crops: Crops = "center",
    scales: Sequence[int] = (),
) -> list[Prediction]:
    """What models say of images, each with its own preprocessing.

    Files in folders that are not taken are listed on stderr.

    Args:
        models: their answers are averaged; the classes are in the order of the first one's.
        images: see `cnntrain.model.inputs.Images`.
        top: how many classes of each image are given.
        crops: the views of each image; see `cnntrain.data.crops`.
        scales: for `dense`, lengths of the images' shorter side.

    Returns:
        One prediction per image, in their order; an image that cannot be read does not end it.

    Raises:
        CheckpointError: a model has other classes than the first.
        UsageError: a model cannot be given such views, there is no image, or what was given is
            none.
        DivergedError: the outputs for an image are not finite; it names the first layer.
    """
    first = models[0]
    if len(models) > 1 and first.named.form == "distances":
        message = f"{first.path}: vectors of several networks have nothing in common to be averaged"
        raise UsageError(message, remedy="give one run")
    for model in models:
        model.check_classes(first.classes, whose=str(first.path), any_order=True)
    viewers = [make_viewer(model, crops=crops, scales=scales) for model in models]
    found = inputs(images, channels=first.in_shape[0])
    tell(left_out(images))
    predictions: list[Prediction] = []
    with first.running(), bar("images", total=len(found)) as shown:
        # the next images are read while these are classified
        for batch, results in read_ahead(_read(viewers, found)):
            predictions += _classify(viewers, batch, results, classes=first.classes, top=top)
            shown.update(len(batch))
    return predictions


def _read(
    viewers: Sequence[Viewer], images: Sequence[Input]
) -> Iterator[tuple[Sequence[Input], list[list[list[Tensor] | Refusal]]]]:
    """The images, a few at a time, and what each of the viewers is given of them."""
    for start in range(0, len(images), BATCH):
        batch = images[start : start + BATCH]
        every = range(len(batch))
        yield batch, [each.read_all(partial(_part, batch, each.model.bits), every)
                      for each in viewers]  # fmt: skip


def _part(images: Sequence[Input], bits: Bits, number: int, channels: int) -> tuple[Part, int]:
    return images[number].part(channels, bits), 0


def _classify(
    viewers: Sequence[Viewer],
    images: Sequence[Input],
    results: Sequence[Sequence[list[Tensor] | Refusal]],
    *,
    classes: tuple[str, ...],
    top: int,
) -> list[Prediction]:
    reasons: dict[int, str] = {}
    scores: list[Tensor] = []
    for viewer, views in zip(viewers, results, strict=True):
        of_one, errors = viewer.scores(views, classes=classes)
        scores.append(of_one)
        for number, error in errors.items():
            reason = error.reason if isinstance(error, UnreadableImageError) else str(error)
            reasons.setdefault(number, reason)
    task = viewers[0].model.task
    answers = said(task, together(task, scores), classes, top=top)
    found: list[Prediction] = []
    for number, (image, answer) in enumerate(zip(images, answers, strict=True)):
        if reason := reasons.get(number, ""):
            found.append(Prediction(image.name, (), reason))
        elif isinstance(answer, Ranking):
            found.append(Prediction(image.name, answer.pairs))
        else:
            found.append(Prediction(image.name, (), other=answer))
    return found
