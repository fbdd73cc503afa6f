"""What can be said of a data set without reading it, and without importing torch."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pkgutil import resolve_name
from typing import Any, Literal

from cnntrain.core.errors import DataError
from cnntrain.core.target_forms import TargetForm
from cnntrain.data import DATASETS


@dataclass(frozen=True)
class Fold:
    """One of `of` parts of equal size, counted from 1: cross-validation's."""

    number: int
    of: int


@dataclass(frozen=True)
class Holdout:
    """Training images that are held out, of each class in proportion to its size.

    Args:
        validation: a fraction (below 1) of the images, a count, or a fold; False for none; None for
            what the data set has, and `USUAL_SHARE` if it is not split at all.
        test: a fraction or a count; None for what the data set has.
        seed: decides which images they are.
        train: a fraction or a count of the others that are trained on; None for all.
        validation_classes, test_classes: all images of these classes are in that split, which has
            no others; none of them trains.
    """

    validation: float | int | Fold | Literal[False] | None = None
    test: float | int | None = None
    seed: int = 0
    train: float | int | None = None
    validation_classes: tuple[str, ...] = ()
    test_classes: tuple[str, ...] = ()


AS_IT_IS = Holdout()
"""Nothing is asked for."""

USUAL_SHARE = 0.2
"""Held out for validation of a data set that is not split at all, if nothing else is said."""


@dataclass(frozen=True)
class Stated:
    """What the names of files and folders say of a data set, before an image is read."""

    classes: tuple[str, ...] | None
    validation: bool
    undivided: bool = False
    form: TargetForm = "classes"
    forms: tuple[TargetForm, ...] = ()


@dataclass(frozen=True)
class DatasetFacts:
    """What planning a network needs of its data.

    Args:
        num_classes: None when unknown before the data is there; of numbers and labels how many.
        class_names: None when unknown without reading.
        channels: 1 grey, 3 RGB.
        size: (height, width) of the stored images; None when they differ or are unknown.
        validation: whether there is a validation split; None when unknown.
        undivided: whether it is not split at all, so that some images are held out if nothing is
            said of it.
        form: of the targets, see `cnntrain.tasks.targets`; None when unknown.
        forms: of `several` what they are; else that one; empty when unknown.
        numbers: of `num_classes`, how many are numbers, where there is something else, too.
    """

    num_classes: int | None
    channels: int
    size: tuple[int, int] | None
    class_names: tuple[str, ...] | None = None
    validation: bool | None = None
    undivided: bool = False
    form: TargetForm | None = "classes"
    forms: tuple[TargetForm, ...] = ()
    numbers: int = 0


def facts(name: str, parameters: Mapping[str, Any]) -> DatasetFacts:
    """The facts that a data set states in its decorator.

    `@dataset("mnist", classes=10, channels=1, size=28)` states literals; `"$key"` takes a value
    from a parameter. `validation=False` says that it has no validation split of its own: a run file
    that needs one is refused without reading; `form="numbers"` is what its targets are, where they
    are not classes. `look="module:function"` names a function of the
    parameters that looks at the names of files and folders, and gives a `Stated`. Where images may
    have numbers besides something else, `numbers="$key"` is the parameter that names them.

    Args:
        name: a registered data set.
        parameters: its parameters, defaults filled in.
    """
    options = DATASETS.entry(name).options
    classes = _resolve(options.get("classes"), parameters)
    names = tuple(classes) if isinstance(classes, tuple | list) else None
    validation = _resolve(options.get("validation"), parameters)
    undivided, form = False, None if "look" in options else options.get("form", "classes")
    forms: tuple[TargetForm, ...] = ()
    with suppress(DataError):
        if (stated := look(name, parameters)) is not None:
            names, validation, undivided = stated.classes, stated.validation, stated.undivided
            form, forms = stated.form, stated.forms
    numbers = _resolve(options.get("numbers"), parameters) if form in ("several", None) else None
    size = _resolve(options.get("size"), parameters)
    pair = (size, size) if isinstance(size, int) else size
    height_width = None if pair is None else (int(pair[0]), int(pair[1]))
    channels = _resolve(options.get("channels", 3), parameters)
    return DatasetFacts(
        num_classes=classes if names is None else len(names),
        channels=int(channels),
        size=height_width,
        class_names=names,
        validation=None if validation is None else bool(validation),
        undivided=undivided,
        form=form,
        forms=forms or (() if form is None else (form,)),
        numbers=len(numbers or ()),
    )


def look(name: str, parameters: Mapping[str, Any]) -> Stated | None:
    """What the names of a data set's files say; None where it does not look at them.

    Raises:
        DataError: they are not there, or not understood.
    """
    where = DATASETS.entry(name).options.get("look")
    if where is None:
        return None
    found = resolve_name(where)(parameters)
    assert isinstance(found, Stated)
    return found


PATHS = ("root", "file", "path")
"""Parameters of data sets in which `~` and environment variables are filled in."""


def unset_variable(path: str, *, key: str) -> tuple[str, str] | None:
    """What is wrong with a path that names an environment variable that is not set, and the remedy.

    Where a file of that very name exists, the `$` is a part of its name. `key` is what the run file
    calls the path.
    """
    filled = os.path.expandvars(path)
    unset = re.search(r"\$\{?(\w+)", filled)
    if unset is None or os.path.lexists(filled):
        return None
    return (
        f"the environment variable {unset[1]} in `{key}: {path}` is not set",
        f"set it (export {unset[1]}=...), or write the path out",
    )


def _resolve(option: Any, parameters: Mapping[str, Any]) -> Any:
    if isinstance(option, str) and option.startswith("$"):
        return parameters.get(option[1:])
    return option
