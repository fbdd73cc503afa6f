"""Loss, top-1, top-5 and the confusion matrix: sums on the device, one read at the end."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from cnntrain.core.errors import DataError

TOP = 5


@dataclass(frozen=True)
class Classification:
    """How well a network classifies a set of images.

    Args:
        images: how many were classified, each exactly once.
        loss: mean of the training criterion over the images (weighted, if it has class weights).
        top1: fraction whose highest logit is the true class.
        top5: fraction whose true class is among the five highest; None with fewer than 6 classes,
            where it would always be 1.
        correct: images that top-1 counts.
        confusion: images by true class (row) and predicted class (column).
    """

    images: int
    loss: float
    top1: float
    top5: float | None
    correct: int
    confusion: tuple[tuple[int, ...], ...]

    @property
    def error(self) -> float:
        """The fraction that top-1 misses."""
        return (self.images - self.correct) / self.images


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
        self._confusion = torch.zeros(num_classes * num_classes, dtype=torch.int64, device=device)
        self._top5 = torch.zeros((), dtype=torch.int64, device=device)
        self._loss = torch.zeros((), dtype=sum_dtype(device), device=device)
        self._weight = torch.zeros_like(self._loss)

    def add(self, logits: Tensor, targets: Tensor, *, loss: Tensor, weight: float | Tensor) -> None:
        """Count one batch.

        Args:
            logits: `(N, num_classes)`.
            targets: `(N,)` int64, all in `[0, num_classes)`.
            loss: 0-d, the mean loss of the batch.
            weight: what that mean was divided by: N, or the sum of the images' class weights.
        """
        self._images += targets.shape[0]
        self._loss += loss.to(self._loss.dtype) * weight
        self._weight += weight
        cells = targets * self._num_classes + logits.argmax(dim=1)
        self._confusion.index_add_(0, cells, torch.ones_like(cells))
        if self._num_classes > TOP:
            among = logits.topk(TOP, dim=1).indices == targets.unsqueeze(1)
            self._top5 += among.sum()

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
            confusion=tuple(tuple(row) for row in table.tolist()),
        )


def sum_dtype(device: torch.device) -> torch.dtype:
    """Of sums over many batches: float64, where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64
