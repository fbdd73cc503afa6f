"""An exported file against its network, image by image: what fewer bits cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from cnntrain.core.kinds import Split
from cnntrain.model.images import SplitImages
from cnntrain.tasks.intervals import Interval, difference_interval

NOTABLE = 0.01
"""A share of the images: a larger drop of the top-1 is said to be one, however few they are."""


@dataclass(frozen=True)
class Rescored:
    """The images of a split, classified by the network and by the file.

    Args:
        split: which.
        images: how many.
        before: share that the network has right.
        after: share that the file has right.
        drop: between which values `before - after` lies, with 95 % confidence.
        agreement: share of the images to which both give the same class.
        mean_difference: of the outputs, without sign.
        largest_difference: of the outputs.
        calibrated_on: images that the ranges of int8 were taken from, in words; else None.
    """

    split: Split
    images: int
    before: float
    after: float
    drop: Interval
    agreement: float
    mean_difference: float
    largest_difference: float
    calibrated_on: str | None = None

    @property
    def is_worse(self) -> bool:
        """Whether the top-1 drops by more than chance explains, or by more than 1 point."""
        return self.drop.low > 0 or self.before - self.after > NOTABLE


@torch.no_grad()
def rescore(
    net: nn.Module,
    forward: Callable[[Tensor], Tensor],
    images: SplitImages,
    *,
    answer: Callable[[Tensor], Tensor],
    raw: bool,
) -> Rescored:
    """Classify images by a network and by a file made of it.

    Args:
        net: on the CPU.
        forward: the file.
        images: of one split.
        answer: what the file gives of the network's logits.
        raw: whether the file prepares images itself: it is given `(1, H, W, C)` uint8.

    Raises:
        DataError: an image is unreadable.
    """
    pairs: list[tuple[Tensor, Tensor]] = []
    with images.opened() as loader:
        for batch in loader.batches(0):
            prepared = batch.images.float().cpu().contiguous()
            pairs.append((answer(net(prepared)), prepared[:0] if raw else forward(prepared)))
    ours = torch.cat([logits for logits, _ in pairs])
    found = map(forward, _raw(images)) if raw else (outputs for _, outputs in pairs)
    theirs = torch.cat(list(found))
    right, still = (found.argmax(dim=1) == images.targets for found in (ours, theirs))
    count, difference = len(ours), (ours - theirs).abs()
    lost, won = int((right & ~still).sum()), int((still & ~right).sum())
    return Rescored(
        split=images.split,
        images=count,
        before=int(right.sum()) / count,
        after=int(still.sum()) / count,
        drop=difference_interval(lost, won, count),
        agreement=int((ours.argmax(dim=1) == theirs.argmax(dim=1)).sum()) / count,
        mean_difference=float(difference.mean()),
        largest_difference=float(difference.max()),
    )


def _raw(images: SplitImages) -> Iterator[Tensor]:
    """Each image as it is stored, `(1, H, W, C)` uint8."""
    for position in images.positions.tolist():
        pixels = np.array(images.part.open(position))
        yield torch.from_numpy(np.atleast_3d(pixels))[None]
