"""The classes of a model, and those of what it is used with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.core.problems import near_match
from cnntrain.show.words import listed

if TYPE_CHECKING:
    from cnntrain.model.model import Model


def check_classes(
    model: Model, classes: Sequence[str], *, whose: str = "the data", any_order: bool = False
) -> None:
    """Refuse classes that are not those of a model.

    Args:
        model: the model.
        classes: of the images, or of another model.
        whose: what to call them.
        any_order: whether it is enough that the names agree.

    Raises:
        CheckpointError: they differ.
    """
    unknown = sorted(set(classes) - set(model.classes))
    missing = sorted(set(model.classes) - set(classes))
    if tuple(classes) == model.classes or (any_order and not unknown and not missing):
        return
    parts = [f"unknown to the network: {listed(unknown, most=6)}"] if unknown else []
    parts += [f"not in {whose}: {listed(missing, most=6)}"] if missing else []
    raise CheckpointError(
        f"the classes of {whose} are not those of {model.path} "
        f"({'; '.join(parts) or 'the same ones in another order'})",
        remedy="give the data it was trained for, or list `data.classes` in its order"
        if whose == "the data"
        else "only networks for the same classes can answer together",
    )


def class_number(model: Model, name: str) -> int:
    """The position of a class in the list of classes.

    Raises:
        UsageError: there is none of that name.
    """
    if name in model.classes:
        return model.classes.index(name)
    near = near_match(name, model.classes)
    remedy = (
        f"did you mean '{near}'?" if near else f"the classes are {listed(model.classes, most=12)}"
    )
    raise UsageError(f"the network has no class '{name}'", remedy=remedy)
