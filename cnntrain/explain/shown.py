"""The images that pictures show, and what the network makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cnntrain.core.errors import DataError, UsageError
from cnntrain.core.escapes import escaped
from cnntrain.core.kinds import Split
from cnntrain.core.problems import near_match
from cnntrain.data.decode import FORMATS, UnreadableImageError
from cnntrain.model.images import find_images, spread
from cnntrain.model.inputs import One
from cnntrain.model.model import Model
from cnntrain.show.pixels import Pixels, photographs
from cnntrain.show.words import listed


@dataclass(frozen=True)
class Shown:
    """Some images to look at: (N, C, H, W), what to call them, what they are where known."""

    images: Tensor
    labels: tuple[str, ...]
    names: tuple[str | None, ...]


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
        UsageError: there is no such file or position, or an image has the wrong size.
        DataError: a file cannot be decoded.
    """
    found: dict[int, tuple[Tensor, str, str | None]] = {}
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
        positions = positions or dict(enumerate(spread(data.targets, usual)))
        images = data.at(list(positions.values()))
        for (place, number), image in zip(positions.items(), images, strict=True):
            what = model.named.say(data.targets[number])
            found[place] = image[None], short(data.label(number)), what
    several = [found[place] for place in sorted(found)]
    stacked = torch.cat([image.to(model.device) for image, _, _ in several])
    return Shown(stacked, tuple(each[1] for each in several), tuple(each[2] for each in several))


def _read_file(model: Model, path: Path) -> Tensor:
    try:
        return model.prepare(path)
    except UnreadableImageError as error:
        raise DataError(
            f"cannot read the image {path}: {error.reason}",
            remedy=f"give an image file ({', '.join(FORMATS)})",
        ) from error


def short(label: str) -> str:
    """The end of a label, with the folder that an image file lies in; in one line."""
    return escaped("/".join(Path(label).parts[-2:]))


def probabilities_of(net: nn.Module, images: Tensor) -> Tensor:
    """(N, classes)."""
    with torch.inference_mode():
        result: Tensor = net(images).float().softmax(dim=1).clone()
    return result


def best(probabilities: Tensor, classes: Sequence[str]) -> str:
    """The most probable class with its probability."""
    top = int(probabilities.argmax())
    return f"{classes[top]} ({float(probabilities[top]):.1%})"


@dataclass(frozen=True)
class Decided:
    """Images (N, C, H, W), what they are and are taken for, and the class a picture is about.

    `pixels` are the images as photographs, (N, H, W, 3).
    """

    images: Tensor
    pixels: Pixels
    targets: list[int]
    captions: list[str]
    aims: list[str]
    facts: list[dict[str, object]]


def class_number(model: Model, name: str) -> int:
    """The position of a class in the list of classes.

    Raises:
        UsageError: there is none of that name.
    """
    if name in model.classes:
        return model.classes.index(name)
    near, known = near_match(name, model.classes), listed(model.classes, most=12)
    remedy = f"did you mean '{near}'?" if near else f"the classes are {known}"
    raise UsageError(f"the network has no class '{name}'", remedy=remedy)


def decide(
    model: Model, images: Sequence[One], target: str | None, *, split: Split | None
) -> Decided:
    """What a network makes of images (see `show_images`).

    The picture is about the class `target`; None: about what each image is seen as.
    """
    wanted = None if target is None else class_number(model, target)
    shown = show_images(model, images, split=split)
    classes = model.classes
    probabilities = probabilities_of(model.net, shown.images).cpu()
    pixels = photographs(shown.images, scaling=model.scaling)
    targets, captions, aims, facts = [], [], [], []
    for label, name, row in zip(shown.labels, shown.names, probabilities, strict=True):
        top = int(row.argmax())
        aim = top if wanted is None else wanted
        targets.append(aim)
        aims.append(f"for {classes[aim]} ({float(row[aim]):.1%})")
        captions.append(
            f"{label}\nseen as {best(row, classes)}" + ("" if name is None else f"\nis {name}")
        )
        fact: dict[str, object] = {"image": label, "class": name, "predicted": classes[top]}
        facts.append({**fact, "shown": classes[aim], "probability": float(row[aim])})
    return Decided(shown.images, pixels, targets, captions, aims, facts)
