"""What an exported file is compared with: the network's own answers for some images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnntrain.core.atomic import write_output
from cnntrain.core.errors import CnntrainError
from cnntrain.data.batch import Batch
from cnntrain.data.pipeline import Pipeline
from cnntrain.train.finite import why_not_finite

LIMIT = 1e-4
"""Largest difference of a logit, relative to the largest logit where that is above 1."""

_IMAGES = 8
_GRIDS = (2, 7, 23)
"""Sides in cells of the patterns that the images are made of, besides single pixels."""


@dataclass(frozen=True)
class Reference:
    """Images `(N, C, H, W)` and the network's logits `(N, num_classes)` for them."""

    images: Tensor
    logits: Tensor

    @property
    def limit(self) -> float:
        """The largest difference that is taken for rounding."""
        return LIMIT * max(1.0, float(self.logits.abs().max()))

    def difference(self, forward: Callable[[Tensor], Tensor]) -> float:
        """The largest difference of a logit."""
        return float((_in_two_batches(forward, self.images) - self.logits).abs().max())

    def check(self, forward: Callable[[Tensor], Tensor], *, what: str) -> float:
        """The largest difference.

        Raises:
            CnntrainError: it is no rounding any more.
        """
        difference = self.difference(forward)
        if not difference <= self.limit:  # so that NaN is refused
            raise CnntrainError(
                f"{what} differs from the network by {difference:.2g} in its logits on "
                f"{len(self.images)} images, more than {self.limit:.2g}; nothing is written",
                remedy="use another format, and report this architecture to cnntrain's maintainers",
            )
        return difference


@torch.no_grad()
def make_reference(
    net: nn.Module, *, in_shape: tuple[int, int, int], pipeline: Pipeline
) -> Reference:
    """Seeded images, prepared as evaluation prepares them, and what the network gives for them.

    Args:
        net: in evaluation mode, on the CPU.
        in_shape: (C, H, W) of its images.
        pipeline: the evaluation transforms that follow those that change sizes.

    Raises:
        DivergedError: the logits are not finite; it names the first layer.
    """
    generator = torch.Generator().manual_seed(0)
    channels, *size = in_shape
    noise = torch.rand(_IMAGES, *in_shape, generator=generator)
    for side in _GRIDS:  # a natural image has structure of every size
        coarse = torch.rand(_IMAGES, channels, side, side, generator=generator)
        noise += F.interpolate(coarse, size=size, mode="bilinear")
    pixels = (noise * (255 / (1 + len(_GRIDS)))).round().to(torch.uint8)
    images = pipeline(pixels, generator).contiguous()
    logits = _in_two_batches(net, images)
    if not logits.isfinite().all():
        whole = "the images that the file would be compared on"
        raise why_not_finite(net, Batch(images, torch.empty(0)), whole=whole)
    return Reference(images, logits)


def write_compared(path: Path, content: bytes, compare: Callable[[Path], float]) -> float:
    """Write a file that takes its name once it is compared.

    torch's own writers are given memory and not a file: where a disk is full they end the process.

    Returns:
        what `compare` gives for the temporary file: the largest difference to the network.

    Raises:
        DiskError: it cannot be written.
    """
    found: list[float] = []

    def check(temporary: Path) -> None:
        found.append(compare(temporary))

    write_output(path, content, before_replace=check)
    return found[0]


def _in_two_batches(forward: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    """One image, then the others: a file that knows only one size of batch is found out."""
    return torch.cat([forward(images[:1]), forward(images[1:])])
