"""Small windows at random places of photographs."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import NonNegative, Positive, Size
from cnntrain.core.seeding import derive_seed
from cnntrain.data import dataset
from cnntrain.data.decode import in_threads
from cnntrain.data.sets.image_folder import image_folder
from cnntrain.data.splits import Part, Pixels, Splits, from_picture
from cnntrain.data.stored_images import shortened
from cnntrain.data.transform_parts import as_pair


@dataset(
    "patches",
    classes="$classes",
    channels="$channels",
    size="$size",
    look="cnntrain.data.layouts:look_at_folders",
)
def patches(
    *,
    root: str,
    size: Size = 12,
    patches: Positive = 20_000,
    other_patches: Positive = 2_000,
    shorter_side: Positive | None = None,
    channels: Literal[1, 3] = 1,
    seed: NonNegative = 0,
) -> Splits:
    """Windows at random places of photographs, drawn once; each has its photograph's class.

    Every photograph gives as many, but for one. Where images are held out for validation or a test,
    the windows of a photograph stay together.

    Args:
        root: class folders of photographs, as for `image_folder`.
        size: of a window, in pixels: one number, or [height, width].
        patches: of the training photographs.
        other_patches: of those of each other split that there is.
        shorter_side: of the photographs, in pixels, to which larger ones are resized first: small
            windows of large photographs show little but noise and compression. Null: as they are.
        channels: 1 for grey, 3 for RGB; all photographs are converted.
        seed: decides where the windows are.

    Raises:
        DataError: a photograph is smaller than a window, or cannot be read.
    """
    folders = image_folder(root=root, channels=channels)
    made, photographs = {}, torch.zeros(0)
    for name, part in folders.parts.items():
        count = patches if name == "train" else other_patches
        generator = torch.Generator().manual_seed(derive_seed(seed, "photographs", name))
        order = torch.randperm(len(part), generator=generator).repeat(-(-count // len(part)))
        numbers = order[:count].sort().values
        seed_of_split = derive_seed(seed, "patches", name)
        found = _cut(part, numbers, as_pair(size), shorter_side=shorter_side, seed=seed_of_split)
        made[name] = Pixels(found, part.targets[numbers])
        photographs = numbers if name == "train" else photographs
    return replace(
        folders,
        train=made["train"],
        validation=made.get("validation"),
        test=made.get("test"),
        groups=photographs,
    )


def _cut(
    part: Part, numbers: Tensor, size: tuple[int, int], *, shorter_side: int | None, seed: int
) -> Tensor:
    """`(N, C, height, width)`: windows of the photographs at these positions, which are sorted."""
    height, width = size
    chosen, counts = torch.unique_consecutive(numbers, return_counts=True)

    def read(place: int) -> Tensor:
        index = int(chosen[place])
        picture = part.open(index)
        if shorter_side is not None:
            picture = shortened(picture, shorter_side)
        pixels = from_picture(picture)
        rows, columns = pixels.shape[1] - height + 1, pixels.shape[2] - width + 1
        if min(rows, columns) < 1:
            found = f"{pixels.shape[1]} x {pixels.shape[2]}"
            message = f"{part.label(index)} is {found} pixels, and a patch {height} x {width}"
            raise DataError(message, remedy="lower `data.size`, or remove `data.shorter_side`")
        generator = torch.Generator().manual_seed(derive_seed(seed, "places", index))
        drawn = torch.rand(int(counts[place]), 2, generator=generator)
        places = (drawn * torch.tensor([rows, columns])).long().tolist()
        return torch.stack([pixels[:, y : y + height, x : x + width] for y, x in places])

    return torch.cat(list(in_threads(read, range(len(chosen)), what="reading photographs")))
