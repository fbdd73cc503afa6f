"""How a kind of fault changes a healthy run file: its data, its transforms, its layers."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from planting.healthy import Base
from planting.kinds import KINDS, Kind

ACTIVATIONS = ("relu", "leaky_relu", "tanh", "sigmoid")

Fits = Callable[[Base], bool]


def _spoil(
    base: Base, random_: random.Random, *, how: str, least: float, most: float, fits: Fits
) -> str:
    if not fits(base):
        return ""
    amount = round(random_.uniform(least, most), 2)
    base.tree["data"] |= {"spoil": how, "amount": amount, "seed": random_.randrange(100)}
    return f"{how.replace('_', ' ')}, {amount}"


def spoiled(  # what a kind is, then how much and where
    how: str,
    group: str,
    *codes: str,
    least: float = 0.3,
    most: float = 0.3,
    fits: Fits = lambda base: True,
    lot: int = 1,
    clue: str = "",
) -> None:
    """Register a kind that a data set of drawn_sets.py does when its `spoil` is so called.

    `amount` lies between `least` and `most`; where the run file does not fit, nothing is planted.
    """
    plant = partial(_spoil, how=how, least=least, most=most, fits=fits)
    KINDS[how] = Kind(how, group, codes, plant, lot, clue)


def has_objects(base: Base) -> bool:
    """Whether the images show something in some place, and not a colour all over."""
    return base.data.name != "planted_colours"


def has_colours(base: Base) -> bool:
    """Three channels."""
    return base.data.channels == 3


def has_several(base: Base) -> bool:
    """More than two classes."""
    return base.data.classes > 2


def optimizer_of(base: Base) -> dict[str, Any]:
    """Its section, to be changed."""
    found: dict[str, Any] = base.tree["train"]["optimizer"]
    return found


def is_adaptive(base: Base) -> bool:
    """Whether the optimizer is Adam or AdamW."""
    found: bool = optimizer_of(base)["name"].startswith("adam")
    return found


def own_loss(base: Base, name: str, *, file: str, **more: Any) -> None:
    """A loss of a plugin."""
    base.tree["plugins"].append(file)
    base.tree["train"]["loss"] = {"name": name, **more}


def own_optimizer(base: Base, name: str, *, file: str, **more: Any) -> None:
    """An optimizer of a plugin, at the rate that was right for the usual one."""
    base.tree["plugins"].append(file)
    lr = optimizer_of(base)["lr"]
    base.tree["train"]["optimizer"] = {"name": name, "lr": lr, **more}


def before_normalize(base: Base, part: str, *steps: Any) -> None:
    """Further transforms of a list, above its `normalize`."""
    found = base.tree["data"]["transforms"][part]
    at = found.index("normalize")
    found[at:at] = list(steps)


def mapped(layers: Any, change: Callable[[Any], list[Any]]) -> Any:
    """Layers, each as the items that `change` gives for it, at any depth."""
    if isinstance(layers, list):
        return [mapped(each, change) for item in layers for each in change(item)]
    if isinstance(layers, dict):
        return {key: mapped(value, change) for key, value in layers.items()}
    return layers


def change_layers(base: Base, change: Callable[[Any], list[Any]]) -> None:
    """The same of the layers of a run file, in place."""
    base.tree["arch"]["layers"] = mapped(base.layers, change)


def exchange_layers(base: Base, names: Sequence[str], by: Any) -> None:
    """Another layer in place of each one that stands by its name alone."""
    change_layers(base, lambda item: [by if item in names else item])


def rename_layers(base: Base, old: str, new: str) -> None:
    """Layers with parameters of another kind, with the same parameters."""

    def change(item: Any) -> list[Any]:
        return [{new: item[old]} if isinstance(item, dict) and old in item else item]

    change_layers(base, change)


def after_first_activation(base: Base, *items: Any) -> None:
    """Further layers there."""
    layers = base.layers
    at = next(i for i, item in enumerate(layers) if item in ACTIVATIONS)
    layers[at + 1 : at + 1] = list(items)


def before_head(base: Base, *items: Any) -> None:
    """Further layers above the last one."""
    base.layers[-1:-1] = list(items)
