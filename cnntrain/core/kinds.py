"""Types for the signatures of all that a user may choose, and for the run file.

Each is strict (`True` is no integer, `"3"` is no number) and says in one sentence what it accepts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from cnntrain.core.patterns import name_expression


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _integers(least: int, what: str) -> Callable[[Any], Any]:
    """One integer or a pair of them, a YAML list becoming a tuple."""

    def check(value: Any) -> Any:
        if _is_integer(value) and value >= least:
            return value
        pair = isinstance(value, list | tuple) and len(value) == 2
        if pair and all(_is_integer(item) and item >= least for item in value):
            return tuple(value)
        raise ValueError(f"{what} or a pair [height, width] of them")

    return check


def _sequence(accepts: Callable[[Any], bool], what: str) -> Callable[[Any], Any]:
    """A YAML list of one kind of value, as a tuple."""

    def check(value: Any) -> Any:
        if isinstance(value, list | tuple) and all(accepts(item) for item in value):
            return tuple(value)
        raise ValueError(f"a list of {what}")

    return check


def _range(value: Any) -> Any:
    pair = isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))
    if pair and value[0] <= value[1]:
        return tuple(value)
    raise ValueError("a range [low, high] of two numbers, the lower one first")


def _betas(value: Any) -> Any:
    pair = isinstance(value, list | tuple) and len(value) == 2 and all(map(_is_number, value))
    if pair and all(0 <= beta < 1 for beta in value):
        return tuple(value)
    raise ValueError("a pair [beta1, beta2] of numbers from 0 to below 1")


def _milestones(value: Any) -> Any:
    if isinstance(value, list | tuple) and value and all(map(_is_number, value)):
        rising = all(a < b for a, b in pairwise(value))
        if rising and value[0] > 0:
            return tuple(value)
    raise ValueError("a list of epochs above 0, each later than the one before")


def _weights(value: Any) -> Any:
    numbers = isinstance(value, list | tuple) and value and all(map(_is_number, value))
    if numbers and all(weight >= 0 for weight in value) and any(value):
        return tuple(value)
    raise ValueError("a list of numbers of 0 or more, one for each class")


def _class_list(value: Any) -> Any:
    names = value if isinstance(value, list | tuple) else [None]
    if all(isinstance(name, str) for name in names) and len({*names}) == len(names):
        return tuple(names)
    raise ValueError("a list of names, each once")


def _heads(value: Any) -> Any:
    if isinstance(value, dict) and value and all(isinstance(each, dict) for each in value.values()):
        return value
    raise ValueError("a mapping of heads, such as {digit: {task: classification, weight: 1}}")


def _encoding(value: str) -> str:
    try:
        "x".encode(value)
    except (LookupError, ValueError):
        raise ValueError("an encoding, such as utf-8, cp1252 or latin-1") from None
    return value


def _delimiter(value: str) -> str:
    if len(value) != 1 or value in '"\r\n':
        raise ValueError("one character, such as ';' or \"\\t\" (a tab)")
    return value


def _name_pattern(value: str) -> str:
    name_expression(value)
    return value


Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
OpenFraction = Annotated[float, Field(gt=0, lt=1)]
BelowOne = Annotated[float, Field(ge=0, lt=1)]
AboveOne = Annotated[float, Field(gt=1)]
PositiveFloat = Annotated[float, Field(gt=0)]
NonNegativeFloat = Annotated[float, Field(ge=0)]
Size = Annotated[int | tuple[int, int], BeforeValidator(_integers(1, "a positive integer"))]
Padding = Annotated[int | tuple[int, int], BeforeValidator(_integers(0, "an integer of 0 or more"))]
Range = Annotated[tuple[float, float], BeforeValidator(_range)]
Floats = Annotated[tuple[float, ...], BeforeValidator(_sequence(_is_number, "numbers"))]
Betas = Annotated[tuple[float, float], BeforeValidator(_betas)]
Milestones = Annotated[tuple[float, ...], BeforeValidator(_milestones)]
Weights = Annotated[tuple[float, ...], BeforeValidator(_weights)]
ClassWeights = Literal["balanced"] | Weights | None
Numbers = Annotated[
    tuple[int, ...],
    BeforeValidator(_sequence(lambda item: _is_integer(item) and item >= 0, "numbers from 0 on")),
]
Names = Annotated[
    tuple[str, ...], BeforeValidator(_sequence(lambda item: isinstance(item, str), "names"))
]
ClassList = Annotated[tuple[str, ...], BeforeValidator(_class_list)]
Heads = Annotated[dict[str, Any], BeforeValidator(_heads)]
"""What the heads of a network learn, by their names; see `cnntrain.config.task_section`."""
Delimiter = Annotated[str, AfterValidator(_delimiter)]
Encoding = Annotated[str, AfterValidator(_encoding)]
NamePattern = Annotated[str, AfterValidator(_name_pattern)]
"""Of file names: see `name_expression`."""
Count = Annotated[int, Field(ge=1, le=200)]
"""How many to draw."""
Bits = Literal["auto", 8, 9, 10, 11, 12, 13, 14, 15, 16]
"""That the values of 16-bit image files have."""
Decoder = Literal["pillow", "simplejpeg"]
"""Which library decodes JPEGs for training."""
Interpolation = Literal["bilinear", "bicubic"]
"""With which filter images are resized."""
Split = Literal["train", "validation", "test"]
