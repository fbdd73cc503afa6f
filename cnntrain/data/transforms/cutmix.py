"""Put a rectangle of one image into another."""

from __future__ import annotations

import math
from random import Random

from torch import Tensor

from cnntrain.core.kinds import Fraction, PositiveFloat
from cnntrain.data import transform
from cnntrain.data.mixing import blend
from cnntrain.data.windows import HeightWidth

Box = tuple[int, int, int, int]


@transform("cutmix", random=True, mixes=True)
class Cutmix:
    """A rectangle of each image comes from another one of its batch; so does a share of its target.

    Yun et al. 2019, section 3.1: the rectangle's share of the area is drawn from Beta(alpha,
    alpha), its middle anywhere in the image, both once for a batch; what would lie outside is cut
    off, and the targets' shares are those of the area that is left. Only another such transform,
    as mixup, may follow it.

    Args:
        alpha: of the distribution; at 1 any area is equally likely, as in the paper.
        probability: of a batch to be mixed; the paper has 1 for ImageNet, 0.5 for CIFAR.
    """

    reach = 1
    """Images before it that one is mixed with: its neighbour."""

    def __init__(self, *, alpha: PositiveFloat = 1.0, probability: Fraction = 1.0) -> None:
        self.alpha = alpha
        self.probability = probability

    def mix(self, images: Tensor, shares: Tensor, random: Random) -> tuple[Tensor, Tensor]:
        """Fill a rectangle of each of `(N, C, H, W)` from its neighbour."""
        height, width = images.shape[2:]
        own = random.betavariate(self.alpha, self.alpha)
        middle = (random.randrange(height), random.randrange(width))
        top, left, bottom, right = rectangle((height, width), share=1 - own, middle=middle)
        mixed, given = images.clone(), images[:, :, top:bottom, left:right]
        mixed[1:, :, top:bottom, left:right] = given[:-1]
        mixed[:1, :, top:bottom, left:right] = given[-1:]
        own = 1 - (bottom - top) * (right - left) / (height * width)
        return mixed, blend(shares, own)


def rectangle(size: HeightWidth, *, share: float, middle: tuple[int, int]) -> Box:
    """Top, left, bottom, right of a rectangle with the image's ratio, cut off at its edge.

    Args:
        size: height and width of the image.
        share: of the image's area.
        middle: row and column.
    """
    down, across = (int(math.sqrt(share) * side / 2) for side in size)
    row, column = middle
    top, left = max(0, row - down), max(0, column - across)
    return top, left, min(size[0], row + down), min(size[1], column + across)
