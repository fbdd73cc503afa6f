"""The images that pictures show."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cnntrain.core.errors import DataError, UsageError
from cnntrain.core.kinds import Split
from cnntrain.data.decode import FORMATS, UnreadableImageError
from cnntrain.model.find_layers import find_layer
from cnntrain.model.images import find_images
from cnntrain.model.inputs import One
from cnntrain.model.model import Model


@dataclass(frozen=True)
class Shown:
    """Some images to look at: (N, C, H, W), what to call them, their classes where known."""

    images: Tensor
    labels: tuple[str, ...]
    targets: tuple[int | None, ...]


def show_images(
    model: Model, wanted: Sequence[One], *, split: Split | None = None, usual: int = 4
) -> Shown:
    """The images that a user asks for.

    Args:
        model: the model.
        wanted: image files, positions in the split, counted from 0, or images in memory (see
            `cnntrain.model.inputs`); if there are none, `usual` images of the split, one of each
            class before a second one of any.
        split: see `find_images`.
        usual: how many where none are asked for.

    Raises:
        UsageError: there is no such file or position, or the image has another size than the
            network takes.
        UnreadableImageError: a file cannot be decoded.
    """
    found: dict[int, tuple[Tensor, str, int | None]] = {}
    positions: dict[int, int] = {}
    for place, each in enumerate(wanted):
        if not isinstance(each, str | Path):
            found[place] = model.prepare(each), f"image {place}", None
        elif Path(each).is_file():
            found[place] = _read_file(model, Path(each)), short(str(each)), None
        elif str(each).isdecimal():
            positions[place] = int(str(each))
        else:
            kind = "is a folder, not an image" if Path(each).is_dir() else "is not there"
            raise UsageError(
                f"{each} {kind}",
                remedy="name a file, or an image of the split by its number, counted from 0",
            )
    if positions or not wanted:
        data = find_images(model, split=split)
        size = len(data.positions)
        beyond = [number for number in positions.values() if number >= size]
        if beyond:
            message = f"there is no image {beyond[0]} in the {data.split} split"
            raise UsageError(message, remedy=f"it has 0 to {size - 1}")
        positions = positions or dict(enumerate(_spread(data.targets, usual)))
        images = data.at(list(positions.values()))
        for (place, number), image in zip(positions.items(), images, strict=True):
            found[place] = image[None], short(data.label(number)), int(data.targets[number])
    several = [found[place] for place in sorted(found)]
    stacked = torch.cat([image.to(model.device) for image, _, _ in several])
    return Shown(stacked, tuple(each[1] for each in several), tuple(each[2] for each in several))


def check_asked(
    model: Model, *, layer: str | None, images: Sequence[str], split: Split | None
) -> None:
    """Whether what a picture is asked to show is there.

    Raises:
        UsageError: the layer is not, or an image.
    """
    if layer is not None:
        find_layer(model, layer)
    if images:
        show_images(model, images, split=split)


def _read_file(model: Model, path: Path) -> Tensor:
    try:
        return model.prepare(path)
    except UnreadableImageError as error:
        raise DataError(
            f"cannot read the image {path}: {error.reason}",
            remedy=f"give an image file ({', '.join(FORMATS)})",
        ) from error


def short(label: str) -> str:
    """The end of a label, with the folder that an image file lies in."""
    return "/".join(Path(label).parts[-2:])


def _spread(targets: Tensor, count: int) -> list[int]:
    """Positions of the first image of each class, then of the second of each, and so on."""
    seen: dict[int, int] = {}
    ranked = []
    for number, target in enumerate(targets.tolist()):
        seen[target] = seen.get(target, 0) + 1
        ranked.append((seen[target], target, number))
    return [number for _, _, number in sorted(ranked)[:count]]
