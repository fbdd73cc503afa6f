"""Vectors that are near each other for images of one class, and far from those of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize as to_unit_length

from cnntrain.core.errors import DataError
from cnntrain.show.words import percent, shape_text
from cnntrain.tasks import task
from cnntrain.tasks.answers import Vector
from cnntrain.tasks.class_runs import in_runs
from cnntrain.tasks.classification import sum_dtype
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.distances import nearest_alike, ranks
from cnntrain.tasks.embedding_report import Embedded, as_data, judge, report
from cnntrain.tasks.protocol import Result
from cnntrain.tasks.targets import Targets

BATCH, TOGETHER = 64, 4
"""Images of a batch of which an evaluation takes the loss, and of a class in it, or more."""
MOST = 1024
"""Images that are compared at once where nothing is learnt from it; more are taken in parts."""


@task(
    "embedding",
    form="distances",
    loss="contrastive",
    selects=("recall_at_1", "loss", "recall_at_5", "recall_at_10"),
)
class Embed:
    """Each image becomes a vector, near to those of its class; classes need not be known before.

    Recall at k is the share of images with another image of their class among their k nearest in
    the split, by Euclidean distance; images that are alone in their class do not count.

    Args:
        normalize: bring each vector to length 1; loss, figures and predictions are of these.
    """

    figures: Sequence[str] = ("recall_at_1", "recall_at_5", "recall_at_10")
    headline: Sequence[str] = ("recall_at_1",)
    train_figures: Sequence[str] = ("recall_at_1",)

    def __init__(self, *, normalize: bool = True, targets: Targets) -> None:
        self.is_unit, self.names = normalize, targets.names
        self._criterion: Criterion | None = None

    def wrong_output(self, shape: tuple[int, ...], classes: int) -> tuple[str, str] | None:
        """A vector of any length is right."""
        del classes  # their number does not matter
        if len(shape) == 1:
            return None
        message = f"ends in {shape_text(shape)}, not in a vector"
        return message, "end with `- flatten` and `- linear: {out: 32}`, the length of the vector"

    def criterion(self, loss: Criterion) -> Criterion:
        """The loss of the vectors; evaluations take it over batches of their own, see `judged`."""
        self._criterion = Compared(loss, self.answers)
        return self._criterion

    def answers(self, outputs: Tensor) -> Tensor:
        """The vectors, `(N, D)`."""
        return to_unit_length(outputs, dim=1) if self.is_unit else outputs

    def judged(
        self, answers: Tensor, targets: Tensor, *, criterion: Criterion | None = None
    ) -> Result:
        """The result of vectors `(N, D)`.

        Which images are compared must not depend on how many are evaluated at once, so the loss
        is the mean over batches that are drawn, always the same way, when all vectors are there.
        """
        vectors, loss = self.answers(answers), 0.0
        generator = torch.Generator().manual_seed(0)
        order = in_runs(targets.cpu(), together=TOGETHER, generator=generator).to(targets.device)
        for batch in torch.split(order, BATCH) if criterion is not None else ():
            assert criterion is not None
            loss += float(criterion(vectors[batch], targets[batch])) * len(batch) / len(order)
        place = ranks(vectors.to(sum_dtype(vectors.device)), targets)
        return judge(place.cpu(), vectors.cpu(), targets.cpu(), loss=loss, names=self.names)

    def missed(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Those whose nearest other image is of another class."""
        place = ranks(self.answers(outputs), targets)
        return (place > 0) & (place < len(targets))

    def said(self, answers: Tensor, names: Sequence[str], *, top: int) -> Sequence[Vector]:
        """The vectors."""
        del names, top
        return [Vector(tuple(row)) for row in self.answers(answers).tolist()]

    def sums(self, outputs: Tensor) -> VectorSums:
        """For outputs `(N, D)`."""
        return VectorSums(self._judge, outputs.device)

    def _judge(self, outputs: Tensor, targets: Tensor, loss: float) -> Embedded:
        found = self.judged(outputs, targets, criterion=self._criterion)
        assert isinstance(found, Embedded)
        return found if self._criterion is not None else found.with_loss(loss)

    def epoch_sums(self, device: torch.device) -> NearestSums:
        """Neighbours within the batches, in training mode, augmentation and all."""
        return NearestSums(self.answers, device)

    def cost(self, result: Result, select: str) -> float:
        """The loss, or what is missing to a recall of 1."""
        assert isinstance(result, Embedded)
        return result.loss if select == "loss" else 1.0 - (result.figures[select] or 0.0)

    def selected(self, select: str, cost: float) -> float:
        """The figure itself."""
        return cost if select == "loss" else 1.0 - cost

    def summary(self, result: Result) -> Mapping[str, str]:
        """Recall and loss."""
        assert isinstance(result, Embedded)
        texts = {f"recall@{k}": percent(share) for k, share in result.recall.items()}
        return {**texts, "loss": f"{result.loss:.4f}"}

    def report(self, result: Result, classes: Sequence[str]) -> str:
        """Recall of all images, and of each class."""
        assert isinstance(result, Embedded)
        return report(result)

    def draw(self, result: Result, classes: Sequence[str], path: Path) -> None:
        """The vectors in two dimensions, a colour for each class."""
        # here, not above: it imports matplotlib
        from cnntrain.tasks.vector_map import draw_map

        assert isinstance(result, Embedded)
        draw_map(result, path=path)

    def data(self, result: Result, classes: Sequence[str] = ()) -> dict[str, Any]:
        """The figures and, with names, those of each class."""
        assert isinstance(result, Embedded)
        return as_data(result, classes)

    def guessed(self, result: Result) -> str | None:
        """The share of neighbours of one's class, if neighbours are drawn by chance."""
        assert isinstance(result, Embedded)
        found = result.recall[1]
        if found is None or found > result.chance:
            return None
        chance = percent(result.chance)
        return f"recall@1 is {percent(found)}: neighbours drawn by chance have {chance}"

    def about(self, names: Sequence[str]) -> dict[str, Any]:
        """How vectors are made of the outputs, and how they are compared."""
        is_output = "output / |output|" if self.is_unit else "output"
        return {"vector_is": is_output, "compared_by": "Euclidean distance"}

    def text(self, figure: str, value: float | None) -> str:
        """Shares in percent."""
        if figure == "loss":
            return "-" if value is None else f"{value:.4g}"
        return percent(value)


@dataclass(frozen=True, eq=False)
class Compared:
    """A loss of the vectors that outputs `(N, D)` mean, compared with each other in a batch.

    Where nothing is learnt from it, many images count in parts: the table of their distances would
    be too large.
    """

    loss: Criterion
    vectors: Callable[[Tensor], Tensor]

    def __call__(self, outputs: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss."""
        vectors = self.vectors(outputs)
        if vectors.requires_grad or len(targets) <= MOST:
            return self.loss(vectors, targets)
        parts = zip(torch.split(vectors, MOST), torch.split(targets, MOST), strict=True)
        shares = [self.loss(some, own) * (len(own) / len(targets)) for some, own in parts]
        return torch.stack(shares).sum()

    def weight(self, targets: Tensor, /) -> float:
        """The images, however many pairs they make."""
        return float(len(targets))

    def plain(self, *, weighted: bool = False) -> Criterion:
        """Itself: no loss of vectors has labels to be smoothed, or weights."""
        del weighted
        return self


class NearestSums:
    """Images in an epoch whose nearest other image of the batch is of their class, on the device.

    Args:
        answers: makes vectors of outputs.
        device: where they are.
    """

    def __init__(self, answers: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._answers = answers
        self._found = torch.zeros((), dtype=sum_dtype(device), device=device)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Outputs `(N, D)` and classes `(N,)`."""
        self._found += nearest_alike(self._answers(outputs.float()), targets).sum()

    def figures(self, images: int) -> dict[str, float]:
        """Their share of all images."""
        return {"recall_at_1": float(self._found) / images if images else float("nan")}

    def tensors(self) -> dict[str, Tensor]:
        """The count, 0-d."""
        return {"found": self._found}


class VectorSums:
    """The outputs for all images of a split, on the device: 4 bytes per image and number.

    Neighbours are looked for among all of them, so there is no sum that would do; several processes
    do not evaluate together.

    Args:
        judge: makes a result of outputs, targets and the mean loss of the batches.
        device: where the outputs are.
    """

    def __init__(
        self, judge: Callable[[Tensor, Tensor, float], Embedded], device: torch.device
    ) -> None:
        self._judge = judge
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._loss = torch.zeros((), dtype=sum_dtype(device), device=device)
        self._weight = torch.zeros_like(self._loss)

    def add(
        self, outputs: Tensor, targets: Tensor, *, loss: Tensor, weight: float | Tensor
    ) -> None:
        """Keep a batch."""
        self._outputs.append(outputs)
        self._targets.append(targets)
        self._loss += loss.to(self._loss.dtype) * weight
        self._weight += weight

    def compute(self) -> Embedded:
        """The result; the one place that waits for the device."""
        if not self._outputs:
            raise DataError("no images to evaluate", remedy="the split is empty")
        loss = float(self._loss / self._weight)
        return self._judge(torch.cat(self._outputs), torch.cat(self._targets), loss)
