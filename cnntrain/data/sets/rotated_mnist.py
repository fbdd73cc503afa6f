"""Digits that are turned, and by how much: one number to be learnt of each image."""

from __future__ import annotations

import torch
from PIL import Image

from cnntrain.core.kinds import NonNegative, PositiveFloat
from cnntrain.core.seeding import derive_seed
from cnntrain.data import dataset
from cnntrain.data.sets.mnist import mnist
from cnntrain.data.splits import Part, Pixels, Splits, from_picture, to_picture


@dataset("rotated_mnist", classes=("angle",), channels=1, size=28, validation=False, form="numbers")
def rotated_mnist(
    *,
    root: str = "data",
    degrees: PositiveFloat = 45.0,
    seed: NonNegative = 0,
    download: bool = False,
) -> Splits:
    """MNIST's digits, each turned by an angle in degrees, which is to be learnt.

    Angles are uniform from -degrees to degrees, counter-clockwise, and the same in every epoch.

    Args:
        root: the folder that holds `MNIST/raw/train-images-idx3-ubyte` and so on (plain or `.gz`).
        degrees: the largest angle, to either side.
        seed: decides which image is turned by which angle.
        download: fetch the files with torchvision if they are not there.
    """
    digits = mnist(root=root, download=download)
    turned = {
        name: _turned(part, degrees=degrees, seed=derive_seed(seed, "angles", name))
        for name, part in digits.parts.items()
    }
    return Splits(("angle",), turned["train"], test=turned["test"], form="numbers")


def _turned(part: Part, *, degrees: float, seed: int) -> Pixels:
    """Each image turned about its middle, bilinear between pixels and black outside."""
    assert isinstance(part, Pixels)
    draws = torch.rand(len(part), generator=torch.Generator().manual_seed(seed))
    angles = (2 * draws - 1) * degrees
    images = torch.empty_like(part.images)
    for image, turned, angle in zip(part.images, images, angles.tolist(), strict=True):
        picture = to_picture(image).rotate(angle, resample=Image.Resampling.BILINEAR)
        turned[:] = from_picture(picture)
    return Pixels(images, angles[:, None])
