"""Blend the images of a batch in pairs."""

from __future__ import annotations

from random import Random

from torch import Tensor

from cnntrain.core.kinds import Fraction, PositiveFloat
from cnntrain.data import transform
from cnntrain.data.mixing import blend


@transform("mixup", random=True, mixes=True)
class Mixup:
    """Each image blended with another one of its batch, and its target in the same proportion.

    `x = share x1 + (1 - share) x2`, `y = share y1 + (1 - share) y2` with a share from
    Beta(alpha, alpha), drawn once for a batch (Zhang et al. 2018, section 2). The paper takes 0.2
    for ImageNet (0.1 to 0.4 helped there) and 1 for CIFAR-10. Only another such transform, as
    cutmix, may follow it.

    Args:
        alpha: of the distribution: near 0 most images stay nearly whole, at 1 any share is equally
            likely.
        probability: of a batch to be mixed.
    """

    reach = 1
    """Images before it that one is mixed with: its neighbour."""

    def __init__(self, *, alpha: PositiveFloat = 0.2, probability: Fraction = 1.0) -> None:
        self.alpha = alpha
        self.probability = probability

    def mix(self, images: Tensor, shares: Tensor, random: Random) -> tuple[Tensor, Tensor]:
        """Blend each of `(N, C, H, W)` and of `(N, classes)` with its neighbour."""
        share = random.betavariate(self.alpha, self.alpha)
        return blend(images, share), blend(shares, share)
