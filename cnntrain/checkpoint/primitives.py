"""What a checkpoint may hold: plain values and tensors, nothing that needs code to be read back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import TypeAlias

import torch
from torch import Tensor

State: TypeAlias = "dict[str, object]"
"""A tree of dict (keys str or int), list, tuple, str, bytes, int, float, bool, None and Tensor."""

_LEAVES = (type(None), bool, int, float, str, bytes)


def check_primitives(state: object) -> None:
    """Refuse a value that `torch.load(weights_only=True)` might not give back as it was.

    Types are compared exactly: `numpy.float64` is a `float` to isinstance, and cannot be read.

    Raises:
        TypeError: names the path of keys to the value.
    """
    for path, value in _walk(state, "state"):
        kind = type(value)
        if kind is Tensor:
            assert isinstance(value, Tensor)
            if value.is_meta or value.layout != torch.strided:
                raise TypeError(f"{path} is a tensor without plain content ({value.layout})")
        elif kind not in _LEAVES:
            name = f"{kind.__module__}.{kind.__qualname__}"
            raise TypeError(f"{path} is a {name}; a checkpoint holds plain values and tensors")


def tensors_in(state: object) -> Iterator[Tensor]:
    """Every tensor of a tree."""
    for _, value in _walk(state, "state"):
        if isinstance(value, Tensor):
            yield value


def compact(state: object) -> object:
    """The same tree, with tensors that are small windows into large storages copied.

    torch.save writes the whole storage behind a view.
    """

    def whole(tensor: Tensor) -> Tensor:
        window = tensor.untyped_storage().nbytes() > tensor.nbytes
        return tensor.clone() if window else tensor

    return _mapped(state, whole)


def on_host(state: State, *, into: Sequence[Tensor] = ()) -> State:
    """A copy of a tree whose tensors are in the host's memory, each once, for no one else.

    Args:
        state: the tree.
        into: the tensors of an earlier copy, in its order, none twice: those of the same form are
            overwritten, because memory fresh from the system takes longer to get than to fill.
    """
    tensors = list({id(each): each.detach() for each in tensors_in(state)}.items())
    copies = {
        name: old.copy_(each)
        if old is not None and _form(old) == _form(each)
        else each.to("cpu", copy=True)
        for (name, each), old in zip_longest(tensors, into[: len(tensors)])
    }
    return {key: _mapped(value, lambda it: copies[id(it)]) for key, value in state.items()}


def _form(tensor: Tensor) -> tuple[object, ...]:
    return tensor.dtype, tensor.shape, tensor.stride()


def _mapped(state: object, function: Callable[[Tensor], Tensor]) -> object:
    """The same tree, with what a function makes of each tensor in its place."""
    if isinstance(state, Tensor):
        return function(state)
    if isinstance(state, dict):
        return {key: _mapped(value, function) for key, value in state.items()}
    if isinstance(state, list):
        return [_mapped(value, function) for value in state]
    if isinstance(state, tuple):
        return tuple(_mapped(value, function) for value in state)
    return state


def size_in_bytes(state: object) -> int:
    """What a checkpoint of this tree takes on disk, roughly (from above for tensors)."""
    tensors = sum(tensor.nbytes + 512 for tensor in tensors_in(state))
    return tensors + 64 * sum(1 for _ in _walk(state, "state")) + 4096


def _walk(value: object, path: str) -> Iterator[tuple[str, object]]:
    kind = type(value)
    if kind is dict:
        assert isinstance(value, Mapping)
        for key, inner in value.items():
            if type(key) not in (str, int):
                raise TypeError(f"{path} has the key {key!r}; keys are str or int")
            yield from _walk(inner, f"{path}[{key!r}]")
    elif kind in (list, tuple):
        assert isinstance(value, list | tuple)
        for index, inner in enumerate(value):
            yield from _walk(inner, f"{path}[{index}]")
    else:
        yield path, value
