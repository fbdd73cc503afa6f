"""Made-up images of any size, for smoke runs and benchmarks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import NonNegative, Positive, Size
from cnntrain.core.seeding import derive_seed
from cnntrain.data import dataset
from cnntrain.data.splits import Pixels, Splits
from cnntrain.data.transform_parts import as_pair

_CELLS = 4
_PATTERN, _NOISE = 144, 112  # brightest pattern and noise: they add up to 0..254


@dataset("synthetic", classes="$classes", channels="$channels", size="$size", validation=False)
def synthetic(
    *,
    size: Size = 32,
    channels: Positive = 3,
    classes: Positive = 10,
    images: Positive = 1024,
    test_images: NonNegative = 256,
    pattern_seed: NonNegative = 0,
) -> Splits:
    """Noise over one smooth random pattern per class: quickly learned, but not at the first step.

    The same parameters give the same pixels on every machine. Classes take turns, so they are
    balanced.

    Args:
        size: height and width.
        channels: 1 or 3 for pictures; any number for benchmarks.
        classes: number of classes.
        images: training images.
        test_images: test images; 0 for none.
        pattern_seed: another seed gives other patterns.
    """
    height, width = as_pair(size)
    generator = torch.Generator().manual_seed(derive_seed(pattern_seed, "patterns"))
    coarse = torch.rand(classes, channels, _CELLS, _CELLS, generator=generator)
    smooth = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    patterns = smooth.mul(_PATTERN).round().to(torch.uint8)
    train = _make(images, patterns, derive_seed(pattern_seed, "train"))
    test = _make(test_images, patterns, derive_seed(pattern_seed, "test")) if test_images else None
    return Splits(tuple(f"class{number}" for number in range(classes)), train, test=test)


def _make(count: int, patterns: Tensor, seed: int) -> Pixels:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % len(patterns)
    shape = (count, *patterns.shape[1:])
    noise = torch.randint(0, _NOISE, shape, dtype=torch.uint8, generator=generator)
    return Pixels(noise.add_(patterns[targets]), targets)
