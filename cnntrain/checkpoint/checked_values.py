"""Values taken out of a checkpoint, each of the kind that it must be.

Each function raises a CheckpointError that names the part of the checkpoint and the value in it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from cnntrain.checkpoint.archive import REMEDY
from cnntrain.core.complaints import shown
from cnntrain.core.errors import CheckpointError

_MOST = 1 << 53
"""Whole numbers up to here are exact as floats, too; no count of a training comes near."""


def wrong_part(part: str, name: object, value: object, wanted: str) -> CheckpointError:
    """What to raise where a value (or with an empty name the part) is not what is wanted."""
    if isinstance(value, Tensor):
        found = _described(value)
    else:
        found = "bytes" if isinstance(value, bytes) else shown(value)
    where = f"its '{name}'" if name != "" else "it"
    message = f"the checkpoint's part '{part}' is damaged: {where} is {found}, not {wanted}"
    return CheckpointError(message, remedy=REMEDY)


def _described(tensor: Tensor) -> str:
    kind = str(tensor.dtype).removeprefix("torch.")
    return f"a tensor of {kind} of shape {tuple(tensor.shape)}"


def value_in(values: Mapping[str, Any], name: str, *, part: str) -> Any:
    """What is there under a name."""
    if name not in values:
        message = f"the checkpoint's part '{part}' is damaged: it has no '{name}'"
        raise CheckpointError(message, remedy=REMEDY)
    return values[name]


def mapping_in(values: Mapping[str, Any], name: str, *, part: str = "") -> dict[str, Any]:
    """A mapping of names; without a `part` the name is that of one."""
    if not part and name not in values:
        raise CheckpointError(f"the checkpoint has no '{name}'", remedy=REMEDY)
    found = value_in(values, name, part=part) if part else values[name]
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise wrong_part(part or name, part and name, found, "a mapping of names")
    return found


def whole_in(values: Mapping[str, Any], name: str, *, part: str) -> int:
    """A whole number from 0 on."""
    found = value_in(values, name, part=part)
    if type(found) is not int or not 0 <= found < _MOST:
        raise wrong_part(part, name, found, "a whole number from 0 on")
    return found


def number_in(values: Mapping[str, Any], name: str, *, part: str, low: float = -math.inf) -> float:
    """A finite number, not below `low`."""
    found = value_in(values, name, part=part)
    if type(found) not in (int, float) or not abs(found) < math.inf or found < low:
        wanted = "a number" if low == -math.inf else f"a number from {low:g} on"
        raise wrong_part(part, name, found, wanted)
    return float(found)


def tensor_in(values: Mapping[str, Any], name: str, *, like: Tensor, part: str) -> Tensor:
    """A tensor of the shape and the kind of numbers (floating, complex or whole) of another."""
    found = value_in(values, name, part=part)
    fits = isinstance(found, Tensor) and found.shape == like.shape
    if not fits or kind_of(found) != kind_of(like):
        raise wrong_part(part, name, found, _described(like))
    assert isinstance(found, Tensor)
    return found


def kind_of(tensor: Tensor) -> tuple[bool, bool]:
    """Which numbers a tensor has: floating ones, complex ones, or neither."""
    return tensor.is_floating_point(), tensor.is_complex()
