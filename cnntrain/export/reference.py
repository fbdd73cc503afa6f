"""What an exported file is compared with: the network's own answers for some images."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnntrain.core.atomic import write_output
from cnntrain.core.errors import CnntrainError, UsageError
from cnntrain.data.batch import Batch
from cnntrain.data.pipeline import Pipeline
from cnntrain.data.splits import from_picture, to_picture
from cnntrain.data.transform_errors import TransformError
from cnntrain.data.windows import HeightWidth
from cnntrain.train.finite import why_not_finite

LIMIT = 1e-4
"""Largest difference of a logit, relative to the largest logit where that is above 1."""

RESIZED = 0.02
"""The same where the file resizes: a pixel in a thousand is rounded otherwise than by Pillow."""

_IMAGES = 8
_GRIDS = (2, 7, 23)
"""Sides in cells of the patterns that the images are made of, besides single pixels."""


@dataclass(frozen=True)
class Reference:
    """Images and what the network gives for them, such as logits `(N, classes)`.

    Args:
        images: `(N, C, H, W)` float32; of a file that prepares them itself, `(N, H, W, C)` uint8.
        logits: its outputs; or the probabilities, of a file that gives those.
        tolerance: of a logit, relative to the largest logit where that is above 1.
        remedy: where a file differs by more.
    """

    images: Tensor
    logits: Tensor
    tolerance: float = LIMIT
    remedy: str = "use another format, and report this architecture to cnntrain's maintainers"

    @property
    def limit(self) -> float:
        """The largest difference that is taken for rounding."""
        return self.tolerance * max(1.0, float(self.logits.abs().max()))

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
                f"{what} differs from the network by {difference:.2g} in its outputs on "
                f"{len(self.images)} images, more than {self.limit:.2g}; nothing is written",
                remedy=self.remedy,
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
    images = pipeline(_pixels(in_shape), torch.Generator()).contiguous()
    return Reference(images, _logits(net, images))


@torch.no_grad()
def make_raw_reference(
    net: nn.Module, *, in_shape: tuple[int, int, int], pipeline: Pipeline
) -> Reference:
    """The same, of images of another size, as `pipeline`, all of the evaluation, makes them fit."""
    head, tail = pipeline.divide(random_in_worker=False)
    channels, height, width = in_shape
    pixels = _pixels((channels, *_larger(head, (height, width))))
    pictures = [from_picture(head.picture(to_picture(each), None)) for each in pixels]
    images = tail(torch.stack(pictures), torch.Generator()).contiguous()
    tolerance = RESIZED if head.steps else LIMIT
    return Reference(pixels.permute(0, 2, 3, 1).contiguous(), _logits(net, images), tolerance)


def _larger(head: Pipeline, size: HeightWidth) -> HeightWidth:
    """A size that sizing transforms bring to `size`, another one if possible."""
    height, width = size
    for other in [(3 * height // 2 + 1, 2 * width + 1), (2 * height, 2 * width), size]:
        with suppress(TransformError):
            if head.output_size(other) == size:
                return other
    raise UsageError(
        "the first transforms of the evaluation make the network's size of none that was tried",
        remedy="leave out --include preprocessing",
    )


def _pixels(shape: tuple[int, int, int]) -> Tensor:
    """Seeded images `(N, *shape)` uint8."""
    generator = torch.Generator().manual_seed(0)
    channels, *size = shape
    noise = torch.rand(_IMAGES, *shape, generator=generator)
    for side in _GRIDS:  # a natural image has structure of every size
        coarse = torch.rand(_IMAGES, channels, side, side, generator=generator)
        noise += F.interpolate(coarse, size=size, mode="bilinear")
    return (noise * (255 / (1 + len(_GRIDS)))).round().to(torch.uint8)


def _logits(net: nn.Module, images: Tensor) -> Tensor:
    logits = _in_two_batches(net, images)
    if not logits.isfinite().all():
        whole = "the images that the file would be compared on"
        raise why_not_finite(net, Batch(images, torch.empty(0)), whole=whole)
    return logits


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
