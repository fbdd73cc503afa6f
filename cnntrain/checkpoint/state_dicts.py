"""Weights in files that other programs wrote: read without running code, and unwrapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from cnntrain.checkpoint.formats import format_of
from cnntrain.checkpoint.store import holds_checkpoint
from cnntrain.checkpoint.torch_files import read_foreign_file
from cnntrain.core.errors import CheckpointError
from cnntrain.core.problems import near_match
from cnntrain.show.words import listed

WRAPPERS = (
    *("state_dict", "model_state_dict", "model", "net"),
    *("state_dict_ema", "model_ema", "ema"),
)
"""Keys under which programs keep a state_dict beside the epoch, the optimizer, ..., and an average
of it, which is taken where there is nothing else."""

_SHOWN = 6
_DEEPEST = 4
"""Wrappers inside of wrappers; a file may hold a mapping that is inside of itself."""


@dataclass(frozen=True)
class ForeignWeights:
    """Weights by their names in a file, on the CPU.

    Args:
        path: the file.
        tensors: the weights.
        entry: the key in the file under which they are, dotted where one is inside of another;
            empty where they are the whole file.
        others: other keys with weights that could have been meant.
    """

    path: Path
    tensors: Mapping[str, Tensor]
    entry: str = ""
    others: tuple[str, ...] = ()


def read_weights(path: Path, *, entry: str | None = None) -> ForeignWeights:
    """The weights in a file of safetensors or torch, whatever its suffix.

    Args:
        path: a file with a state_dict, which may be wrapped in one of `WRAPPERS`.
        entry: the key under which it is, dotted where one is inside of another.

    Raises:
        CheckpointError: the file is missing, damaged or holds something else.
    """
    with _intact(path):
        kind = format_of(path)
        if kind == "safetensors" and entry is None:
            return ForeignWeights(path, load_file(path))
    if kind == "safetensors":
        message = f"{path} is a safetensors file, which has no entries"
        raise CheckpointError(message, remedy="remove finetune.weights.entry")
    state = read_foreign_file(path)
    if holds_checkpoint(state):
        remedy = "name it, or its run's folder, with `run:` in place of `file:`"
        raise CheckpointError(f"{path} is a checkpoint of cnntrain", remedy=remedy)
    inside = state if entry is None else _at(state, entry, path)
    keys = [] if entry is None else [entry]
    others: list[str] = []
    for _ in range(_DEEPEST):
        wrapped = [key for key in WRAPPERS if isinstance(inside.get(key), Mapping)]
        if not wrapped:
            break
        full = [key for key in wrapped if _tensors(inside[key])] or wrapped
        others += [".".join([*keys, key]) for key in full[1:]]
        keys.append(full[0])
        inside = _mapping(inside[full[0]])
    if tensors := _tensors(inside, 0):
        return ForeignWeights(path, tensors, ".".join(keys), tuple(others))
    found = [str(key) for key in inside]
    here = next((str(key) for key, value in inside.items() if _tensors(value)), None)
    raise CheckpointError(
        f"{path} holds no weights by name; its keys are: {listed(found, most=_SHOWN)}",
        remedy=f"set finetune.weights.entry: {'.'.join([*keys, here])}"
        if here is not None
        else "save `model.state_dict()`, alone or under the key 'state_dict'",
    )


def read_metadata(path: Path) -> dict[str, str]:
    """What a safetensors file says of itself; nothing if it is another kind of file, or none.

    Raises:
        CheckpointError: the file is damaged, or no file of weights.
    """
    with _intact(path):
        if not path.is_file() or format_of(path) != "safetensors":
            return {}
    with _intact(path), safe_open(path, "pt") as file:
        return file.metadata() or {}


def _at(state: Mapping[Any, object], entry: str, path: Path) -> Mapping[Any, object]:
    """What is under a key, or under keys with dots between."""
    inside: object = state
    for key in [entry] if entry in state else entry.split("."):
        if not isinstance(inside, Mapping) or key not in inside:
            keys = [str(each) for each in inside] if isinstance(inside, Mapping) else []
            message = f"{path} has no entry '{entry}'; there are: {listed(keys, most=_SHOWN)}"
            meant = near_match(key, keys)
            remedy = f"did you mean '{meant}'?" if meant else "name one of them, or none"
            raise CheckpointError(message, remedy=remedy)
        inside = inside[key]
    return _mapping(inside)


def _mapping(value: object) -> Mapping[Any, object]:
    return value if isinstance(value, Mapping) else {}


def _tensors(value: object, depth: int = _DEEPEST) -> dict[str, Tensor]:
    """The tensors in a mapping by their names, also in one that is wrapped."""
    inside = _mapping(value)
    found = {str(name): each for name, each in inside.items() if isinstance(each, Tensor)}
    if found or not depth:
        return found
    deeper = (_tensors(inside[key], depth - 1) for key in WRAPPERS if key in inside)
    return next((each for each in deeper if each), {})


@contextmanager
def _intact(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror or error}"
        raise CheckpointError(message, remedy="make it readable for you, or name a copy") from error
    except (SafetensorError, ValueError, LookupError, TypeError, RuntimeError) as error:
        message = f"{path} is damaged, or no safetensors file ({error})"
        raise CheckpointError(message, remedy="fetch it again") from error
