"""What a loss is: a mean over the images of a batch, and what that mean is taken over.

With class weights `w` a mean is `sum(w[y] * loss) / sum(w[y])`, as in torch. `weight` gives that
denominator, so that means of parts can be put together to the mean of the whole exactly.

Targets are classes `(N,)` int64 or, of mixed images, shares of classes `(N, classes)` that sum to
1. An image with `s` of class a and `1 - s` of b counts as `s` of an image of a and `1 - s` of one
of b, class weights included. One-hot shares give what the classes give.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import torch
from torch import Tensor

from cnntrain.core.choices import ChoiceError
from cnntrain.core.kinds import ClassWeights

Weigh = Callable[[ClassWeights], Tensor | None]
"""What makes a tensor of what a run file says of class weights: `weights_tensor`, for the run; of
the weights of labels that are there: `positive_tensor`."""


class Criterion(Protocol):
    """A loss that is a (weighted) mean over images."""

    def __call__(self, logits: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss of `(N, classes)` logits and targets, `(N,)` or `(N, classes)`."""

    def weight(self, targets: Tensor, /) -> float | Tensor:
        """What the mean is divided by: N, or the sum of the class weights."""

    def plain(self, *, weighted: bool = False) -> Criterion:
        """The loss without label smoothing and, unless `weighted`, without class weights."""


@dataclass(frozen=True, eq=False)
class MeanLoss:
    """The mean of what a function gives for each image.

    Args:
        each: `(N,)` losses of `(N, classes)` logits and targets as above; a mean, 0-d, will do.
    """

    each: Callable[[Tensor, Tensor], Tensor]

    def __call__(self, logits: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss."""
        return self.each(logits, targets).mean()

    def weight(self, targets: Tensor, /) -> float:
        """N."""
        return float(targets.shape[0])

    def plain(self, *, weighted: bool = False) -> Criterion:
        """Itself."""
        return self


@dataclass(frozen=True, eq=False)
class LossByClass:
    """The mean of the target's loss, where a function gives one for each class.

    Args:
        table: `(N, classes)` losses of `(N, classes)` logits, one for each class that may be right.
        class_weights: `(classes,)` float32 on the device, or None.
    """

    table: Callable[[Tensor], Tensor]
    class_weights: Tensor | None = None

    def __call__(self, logits: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss."""
        losses = self.table(logits)
        if self.class_weights is not None:
            losses = losses * self.class_weights.to(logits)
        return of_target(losses, targets).sum() / self.weight(targets)

    def weight(self, targets: Tensor, /) -> float | Tensor:
        """N, or the sum of the class weights."""
        return total_weight(self.class_weights, targets)

    def plain(self, *, weighted: bool = False) -> Criterion:
        """Without class weights, unless `weighted`."""
        return self if weighted or self.class_weights is None else replace(self, class_weights=None)


def weights_tensor(
    wanted: ClassWeights,
    *,
    classes: Sequence[str] = (),
    class_counts: Sequence[int] = (),
    device: torch.device | str = "cpu",
) -> Tensor | None:
    """A factor for each class, `(classes,)` float32 on the device; None where none is wanted.

    Args:
        wanted: the numbers, or `balanced`: inverse to the class's number of training images.
        classes: names of the classes; where there are none, as many numbers as one likes.
        class_counts: training images of each class.
        device: where the logits are.

    Raises:
        ChoiceError: the number of weights is not that of the classes, or a balanced weight
            would be infinite.
    """
    remedy = "give one number for each class"
    if wanted == "balanced":
        if not all(class_counts):
            empty = classes[class_counts.index(0)]
            message = f"class '{empty}' has no training image, so its weight would be infinite"
            raise ChoiceError("class_weights", f"{message}; {remedy}")
        wanted = balanced_class_weights(class_counts)
    elif wanted is not None and classes and len(wanted) != len(classes):
        message = f"there are {len(wanted)} class weights for {len(classes)} classes"
        raise ChoiceError("class_weights", f"{message}; {remedy}")
    return None if wanted is None else torch.tensor(wanted, device=device)


def positive_tensor(
    wanted: ClassWeights,
    *,
    labels: Sequence[str] = (),
    counts: Sequence[int] = (),
    images: int = 0,
    device: torch.device | str = "cpu",
) -> Tensor | None:
    """How many times having each label counts, `(labels,)` float32; None where nothing is wanted.

    Args:
        wanted: the numbers, or `balanced`: images without the label over images with it, so that
            both weigh the same in all.
        labels: their names; where there are none, as many numbers as one likes.
        counts: training images with each label.
        images: of training, all.
        device: where the outputs are.

    Raises:
        ChoiceError: the number of weights is not that of the labels, or a balanced weight would be
            0 or infinite.
    """
    remedy = "give one number for each label"
    if wanted == "balanced":
        for label, count in zip(labels, counts, strict=True):
            if not 0 < count < images:
                what = "every" if count else "no"
                message = f"{what} training image has the label '{label}', which has no balance"
                raise ChoiceError("positive_weights", f"{message}; {remedy}")
        wanted = tuple((images - count) / count for count in counts)
    elif wanted is not None and labels and len(wanted) != len(labels):
        message = f"there are {len(wanted)} positive weights for {len(labels)} labels"
        raise ChoiceError("positive_weights", f"{message}; {remedy}")
    return None if wanted is None else torch.tensor(wanted, device=device)


def balanced_class_weights(counts: Sequence[int]) -> tuple[float, ...]:
    """`images / (classes * images of the class)`, so that every class weighs the same in all.

    The formula of scikit-learn's `balanced` (King and Zeng 2001); a class without images gets 1.
    """
    total = sum(counts)
    return tuple(total / (len(counts) * count) if count else 1.0 for count in counts)


def of_target(losses: Tensor, targets: Tensor) -> Tensor:
    """`(N,)`: of the losses `(N, classes)`, one if a class is the target, the target's."""
    if targets.ndim == 1:
        return losses.gather(1, targets.unsqueeze(1)).squeeze(1)
    return (losses * targets).sum(dim=1)


def total_weight(class_weights: Tensor | None, targets: Tensor) -> float | Tensor:
    """N, or the sum of what the images weigh."""
    if class_weights is None:
        return float(targets.shape[0])
    weights = class_weights.to(targets.device)
    return (weights[targets] if targets.ndim == 1 else targets @ weights.to(targets.dtype)).sum()
