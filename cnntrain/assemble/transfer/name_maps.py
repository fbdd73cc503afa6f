"""The shipped maps of names of weights, and which of them is for a model of another program."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from cnntrain.checkpoint.foreign import Rule, read_rules
from cnntrain.config import shipped
from cnntrain.config.arch_header import read_header


def map_file(model: str, *, publisher: str) -> Path | None:
    """`weights/PUBLISHER_FAMILY.yaml`, of the longest family that the model's name begins with.

    After the family the name ends, or a number or an underscore follows: resnetv2_50 and
    resnext50_32x4d are no depths of `resnet`.

    Args:
        model: such as resnet50 or vgg16_bn.
        publisher: torchvision or timm.
    """
    folder = shipped.folder()
    if folder is None:
        return None
    start = f"{publisher}_"
    files = {file.stem.removeprefix(start): file for file in folder.glob(f"weights/{start}*.yaml")}
    fitting = [family for family in files if re.match(rf"{re.escape(family)}([0-9_]|\Z)", model)]
    return files[max(fitting, key=len)] if fitting else None


def map_of(model: str, *publishers: str) -> tuple[Rule, ...] | None:
    """The map of our names to a model's, of the first publisher that has one; None without one.

    Raises:
        ConfigError: its file is no map of names.
    """
    files = (map_file(model, publisher=publisher) for publisher in publishers)
    file = next((file for file in files if file is not None), None)
    return None if file is None else _rules_in(file)


def arch_for(model: str) -> str | None:
    """Our architecture of a model of torchvision, `archs/NAME`; None where none is shipped.

    It is the one of the model's name; where the map is for this model alone, that which names the
    map in its header.
    """
    file = map_file(model, publisher="torchvision")
    if file is None:
        return None
    if file.stem == f"torchvision_{model}":
        return _archs_by_map()[file.name]
    own = f"archs/{model}"
    return own if shipped.find(own) else None


@cache
def _archs_by_map() -> dict[str, str]:
    """By the name of a map, an architecture whose header says `Weights: configs/weights/NAME`."""
    headers = {name: read_header(file) for name, file in shipped.files(among="archs/").items()}
    return {f"{each.weights}.yaml": name for name, each in headers.items()}


@cache
def _rules_in(file: Path) -> tuple[Rule, ...]:
    return read_rules(file)
