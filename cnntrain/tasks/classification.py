"""One class for each image: loss, top-1, top-5 and the confusion matrix."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.show.words import percent, shape_text
from cnntrain.tasks import task
from cnntrain.tasks.answers import Ranking
from cnntrain.tasks.classification_report import (
    Classification,
    as_data,
    class_scores,
    mean_score,
    report,
)
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.image_scores import ImageScores
from cnntrain.tasks.protocol import Result

if TYPE_CHECKING:
    from cnntrain.tasks.quality import Quality

TOP = 5
HOPELESS = 100
"""Times the loss of equal answers; a network that has learnt stays below, whatever the loss."""
_TOGETHER = 16
"""Batches whose mistakes are counted at once: one by one it is 1 % of a small network's step."""


@task("classification", selects=("error", "loss", "macro_f1", "balanced_accuracy"))
class Classify:
    """Each image is of one class; targets are class numbers, or shares of classes."""

    figures: Sequence[str] = ("error", "top5_error")
    headline: Sequence[str] = ("error",)
    train_figures: Sequence[str] = ("error",)

    def wrong_output(self, shape: tuple[int, ...], classes: int) -> tuple[str, str] | None:
        """One number per class is right."""
        if shape == (classes,):
            return None
        if len(shape) == 1:
            message = f"gives {shape[0]} outputs, but the data have {classes} classes"
            return message, "end with `- linear: {out: $num_classes}`"
        message = f"ends in {shape_text(shape)}, not in one number per class"
        return message, "end with `- flatten` and `- linear: {out: $num_classes}`"

    def answers(self, outputs: Tensor) -> Tensor:
        """Logarithms of the classes' probabilities, so that none becomes 0."""
        return outputs.log_softmax(dim=1)

    def together(self, answers: Sequence[Tensor]) -> Tensor:
        """The logarithm of the mean of the probabilities."""
        return torch.stack(tuple(answers)).logsumexp(dim=0) - math.log(len(answers))

    def judged(self, answers: Tensor, targets: Tensor, *, criterion: Criterion) -> Result:
        """The loss is the mean of -log of the averaged probability, whatever the criterion."""
        sums = self.sums(answers)
        sums.add(answers, targets, loss=F.nll_loss(answers, targets), weight=len(targets))
        return sums.compute()

    def decisions(self, answers: Tensor) -> Tensor:
        """The most probable classes, `(N,)`."""
        return answers.argmax(dim=1)

    def missed(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Those that are taken for another class."""
        return outputs.argmax(dim=1) != targets

    def said(self, answers: Tensor, names: Sequence[str], *, top: int) -> Sequence[Ranking]:
        """The most probable classes."""
        best = answers.exp().topk(min(top, len(names)), dim=1)
        rows = zip(best.values.tolist(), best.indices.tolist(), strict=True)
        return [Ranking(tuple((names[i], p) for i, p in zip(places, values, strict=True)))
                for values, places in rows]  # fmt: skip

    def sums(self, outputs: Tensor) -> ClassificationSums:
        """For logits `(N, classes)`."""
        return ClassificationSums(num_classes=outputs.shape[1], device=outputs.device)

    def epoch_sums(self, device: torch.device) -> MistakeSums:
        """Mistakes, in training mode, augmentation and all."""
        return MistakeSums(device)

    def cost(self, result: Result, select: str) -> float:
        """The error, the loss, or what is missing to a macro F1 or a balanced accuracy of 1."""
        assert isinstance(result, Classification)
        if select == "error":
            return result.error
        if select == "loss":
            return result.loss
        mean = mean_score(class_scores(result.confusion))
        return 1.0 - (mean.f1 if select == "macro_f1" else mean.recall)

    def selected(self, select: str, cost: float) -> float:
        """The figure itself."""
        return cost if select in ("error", "loss") else 1.0 - cost

    def summary(self, result: Result) -> Mapping[str, str]:
        """Top-1, error and loss."""
        assert isinstance(result, Classification)
        shares = {"top-1": result.top1, "error": result.error}
        texts = {name: f"{share:.2%}" for name, share in shares.items()}
        return {**texts, "loss": f"{result.loss:.4f}"}

    def report(self, result: Result, classes: Sequence[str]) -> str:
        """Top-1, top-5, scores per class, confusion matrix."""
        assert isinstance(result, Classification)
        return report(result, classes)

    def draw(self, result: Result, classes: Sequence[str], path: Path) -> None:
        """The confusion matrix."""
        # here, not above: it imports matplotlib
        from cnntrain.tasks.confusion_matrix import draw_confusion

        assert isinstance(result, Classification)
        draw_confusion(result.confusion, classes=classes, path=path)

    def data(self, result: Result, classes: Sequence[str] = ()) -> dict[str, Any]:
        """Counts and shares; with classes, their scores and the confusion matrix."""
        assert isinstance(result, Classification)
        return as_data(result, classes)

    def guessed(self, result: Result) -> str | None:
        """The error of always naming the most frequent class, or the loss of equal answers."""
        assert isinstance(result, Classification)
        equal = math.log(max(len(result.confusion), 2))
        if result.loss > HOPELESS * equal:
            return (
                f"the loss is {result.loss:.4g}, and {equal:.4g} where all classes are equally "
                "likely; the learning rate may be too high"
            )
        largest = result.largest_class
        if not result.correct <= largest < result.images:
            return None
        error = percent(1 - largest / result.images)
        return f"always naming the most frequent class has an error of {error}"

    def quality(self, answers: ImageScores) -> Quality:
        """An interval of the top-1, areas under curves, calibration."""
        # here, not above: it imports scikit-learn
        from cnntrain.tasks.quality import find_quality

        return find_quality(answers)

    def text(self, figure: str, value: float | None) -> str:
        """Shares in percent."""
        if figure == "loss":
            return "-" if value is None else f"{value:.4g}"
        return percent(value)


CLASSIFICATION = Classify()


class MistakeSums:
    """Images misclassified in an epoch, counted on the device.

    Args:
        device: where the logits are.
    """

    def __init__(self, device: torch.device) -> None:
        self._wrong = torch.zeros((), dtype=torch.int64, device=device)
        self._uncounted: list[tuple[Tensor, Tensor]] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Logits `(N, classes)`; classes `(N,)`, or shares of them of which the largest counts."""
        self._uncounted.append((outputs, targets if targets.ndim == 1 else targets.argmax(dim=1)))
        if len(self._uncounted) >= _TOGETHER:
            self._count()

    def figures(self, images: int) -> dict[str, float]:
        """The share of mistakes."""
        self._count()
        return {"error": int(self._wrong) / images if images else float("nan")}

    def tensors(self) -> dict[str, Tensor]:
        """The count, 0-d int64."""
        self._count()
        return {"wrong": self._wrong}

    def _count(self) -> None:
        if self._uncounted:
            logits, targets = (torch.cat(parts) for parts in zip(*self._uncounted, strict=True))
            self._wrong += (logits.argmax(dim=1) != targets).sum()
            self._uncounted.clear()


class ClassificationSums:
    """Counts that are exact for any batch sizes, with no host synchronisation per batch.

    The counts are integers, so they do not depend on the order of the additions: the result is the
    same in deterministic mode and out of it.

    Args:
        num_classes: length of the logits, at least 2.
        device: where the logits are.
    """

    def __init__(self, *, num_classes: int, device: torch.device) -> None:
        self._num_classes = num_classes
        self._images = 0
        self._confusion = torch.zeros(num_classes * num_classes, dtype=torch.int32, device=device)
        self._top5 = torch.zeros((), dtype=torch.int64, device=device)
        self._loss = torch.zeros((), dtype=sum_dtype(device), device=device)
        self._weight = torch.zeros_like(self._loss)

    def add(
        self, outputs: Tensor, targets: Tensor, *, loss: Tensor, weight: float | Tensor
    ) -> None:
        """Count logits `(N, num_classes)` with targets `(N,)` int64 in `[0, num_classes)`."""
        self._images += targets.shape[0]
        self._loss += loss.to(self._loss.dtype) * weight
        self._weight += weight
        cells = targets * self._num_classes + outputs.argmax(dim=1)
        self._confusion.index_add_(0, cells, torch.ones_like(cells, dtype=torch.int32))
        if self._num_classes > TOP:
            among = outputs.topk(TOP, dim=1).indices == targets.unsqueeze(1)
            self._top5 += among.sum()

    def add_up(self, total: Callable[[Tensor], Tensor]) -> None:
        """Have the sums of all processes."""
        images = torch.tensor(self._images, device=self._loss.device)
        self._images = int(total(images))
        for sums in (self._confusion, self._top5, self._loss, self._weight):
            total(sums)

    def compute(self) -> Classification:
        """The result; the one place that waits for the device."""
        if self._images == 0:
            raise DataError("no images to evaluate", remedy="the split is empty")
        table = self._confusion.view(self._num_classes, self._num_classes)
        correct = int(table.diagonal().sum())
        return Classification(
            images=self._images,
            loss=float(self._loss / self._weight),
            top1=correct / self._images,
            top5=int(self._top5) / self._images if self._num_classes > TOP else None,
            correct=correct,
            confusion=table.cpu(),
        )


def sum_dtype(device: torch.device) -> torch.dtype:
    """Of sums over many batches: float64, where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64
