"""Weights in files that other programs wrote: read without running code, and unwrapped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from cnntrain.checkpoint.store import holds_checkpoint, read_torch_file
from cnntrain.core.errors import CheckpointError
from cnntrain.show.words import listed

WRAPPERS = ("state_dict", "model_state_dict", "model")
"""Keys under which programs keep a state_dict beside the epoch, the optimizer, ..."""

_SHOWN = 6


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The weights in a file, by their names there; on the CPU.

    Args:
        path: `.safetensors`, or a torch file (`.pt`, `.pth`, `.th`) with a state_dict, which may
            be wrapped in one of `WRAPPERS`.

    Raises:
        CheckpointError: the file is missing, damaged or holds something else.
    """
    with _intact(path):
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise CheckpointError(f"{path} {what}", remedy="name a file with weights")
    if path.suffix == ".safetensors":
        with _intact(path):
            return dict(load_file(path))
    if _has_safetensors(path):
        remedy = f"rename it to {path.with_suffix('.safetensors').name}, and name that"
        raise CheckpointError(f"{path} is a .safetensors file under another name", remedy=remedy)
    state = read_torch_file(path, is_foreign=True)
    if holds_checkpoint(state):
        remedy = "name it, or its run's folder, with `run:` in place of `file:`"
        raise CheckpointError(f"{path} is a checkpoint of cnntrain", remedy=remedy)
    found = _unwrapped(state)
    tensors = {str(name): value for name, value in found.items() if isinstance(value, Tensor)}
    if not tensors:
        keys = listed(list(found), most=_SHOWN)
        raise CheckpointError(
            f"{path} holds no weights by name; its keys are: {keys}",
            remedy="save `model.state_dict()`, alone or under the key 'state_dict'",
        )
    return tensors


def read_metadata(path: Path) -> dict[str, str]:
    """What a `.safetensors` file says of itself; nothing if it is another kind of file, or none.

    Raises:
        CheckpointError: the file is damaged.
    """
    if path.suffix != ".safetensors":
        return {}
    with _intact(path):
        if not path.is_file():
            return {}
    with _intact(path), safe_open(path, "pt") as file:
        return file.metadata() or {}


def _has_safetensors(path: Path) -> bool:
    """Whether a file begins as one does: the length of a JSON text, which follows."""
    with _intact(path), path.open("rb") as file:
        head = file.read(9)
        size = int.from_bytes(head[:8], "little")
        return head[8:] == b"{" and size < path.stat().st_size


def _unwrapped(state: Mapping[Any, object]) -> Mapping[Any, object]:
    inner = (state.get(key) for key in WRAPPERS)
    wrapped = next((value for value in inner if isinstance(value, Mapping)), None)
    return state if wrapped is None else _unwrapped(wrapped)


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
