"""Two classes of CIFAR-10 that look alike in many pixels: sky above, and something below."""

from __future__ import annotations

import torch

from cnntrain.core.kinds import Positive
from cnntrain.data import dataset
from cnntrain.data.sets.cifar import cifar10
from cnntrain.data.splits import Part, Pixels, Splits

CLASSES = ("automobile", "horse")


@dataset("cars_and_horses", classes=2, channels=3, size=32, validation=True)
def cars_and_horses(*, root: str = "data", images: Positive = 800) -> Splits:
    """Cars and horses; the first images of each kind.

    Args:
        root: the folder of CIFAR-10.
        images: of training; a quarter as many are for validation.
    """
    whole = cifar10(root=root)
    assert whole.test is not None
    return Splits(
        CLASSES,
        _chosen(whole.train, whole.classes, images),
        validation=_chosen(whole.test, whole.classes, images // 4),
    )


def _chosen(part: Part, classes: tuple[str, ...], images: int) -> Pixels:
    """So many images of the two classes, half of them of each."""
    assert isinstance(part, Pixels)
    wanted = [classes.index(name) for name in CLASSES]
    of_each = [(part.targets == place).nonzero().flatten()[: images // 2] for place in wanted]
    chosen = torch.cat(of_each)
    targets = torch.cat([torch.full((len(each),), i) for i, each in enumerate(of_each)])
    return Pixels(part.images[chosen], targets)
