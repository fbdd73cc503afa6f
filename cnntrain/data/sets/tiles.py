"""Images put together to larger ones, which have the labels of all their parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import NonNegative
from cnntrain.core.seeding import derive_seed
from cnntrain.data import dataset
from cnntrain.data.decode import in_threads
from cnntrain.data.sets.image_folder import image_folder
from cnntrain.data.splits import Part, Pixels, Splits, from_picture


@dataset(
    "tiles",
    classes="$classes",
    channels="$channels",
    form="labels",
    look="cnntrain.data.layouts:look_at_tiles",
)
def tiles(*, root: str, channels: Literal[1, 3] = 3, seed: NonNegative = 0) -> Splits:
    """Four small images in one, two by two, with the labels of the classes that occur in it.

    A set of several labels, made of one of classes such as CIFAR-10: which four images are
    together is drawn once, and each is in one tile.

    Args:
        root: class folders, as for `image_folder`; all images of one size.
        channels: 3 for RGB, 1 for grey; all images are converted.
        seed: decides which images are together.
    """
    folders = image_folder(root=root, channels=channels)
    made = {
        name: _tiled(part, len(folders.classes), seed=derive_seed(seed, "tiles", name), split=name)
        for name, part in folders.parts.items()
    }
    return replace(
        folders,
        train=made["train"],
        validation=made.get("validation"),
        test=made.get("test"),
        form="labels",
    )


def _tiled(part: Part, classes: int, *, seed: int, split: str) -> Pixels:
    """Quarters in reading order; up to three images without a tile are left out."""
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(seed))
    fours = order[: len(order) // 4 * 4].view(-1, 4)
    if not len(fours):
        message = f"{len(part)} {split} images are too few for a tile of four"
        raise DataError(message, remedy="add images")

    def read(index: int) -> Tensor:
        return from_picture(part.open(index))

    numbers = fours.flatten().tolist()
    found = list(in_threads(read, numbers, what=f"reading {split}"))
    for number, image in zip(numbers, found, strict=True):
        if image.shape != found[0].shape:
            first, other = part.label(numbers[0]), part.label(number)
            raise DataError(
                f"{first} and {other} are of different sizes, so they cannot be in one tile",
                remedy="resize the files to one size",
            )
    quarters = torch.unflatten(torch.stack(found), 0, (-1, 2, 2))  # (M, rows, columns, C, H, W)
    whole = quarters.permute(0, 3, 1, 4, 2, 5).flatten(4, 5).flatten(2, 3).contiguous()
    targets = F.one_hot(part.targets[fours], classes).amax(dim=1).float()
    return Pixels(whole, targets)
