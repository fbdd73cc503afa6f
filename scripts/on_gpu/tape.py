"""What stands for a CUDA graph where there is no GPU: a tape of torch's operations.

Like a graph it notes what is computed and does nothing of it, refuses what reads a value, and does
it all again when it is played: the same operations, with the numbers that Python gave them then,
over the same memory. Nothing of Python runs again. So what a step reads each time must be in
a tensor that lasts, as on a GPU; what must not be is wrong here as it would be there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

READS = {"_local_scalar_dense", "equal", "is_nonzero", "item", "nonzero"}

T = TypeVar("T")


class _Recorder(TorchDispatchMode):
    """Does each operation, and notes it; keeps what was there before."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[tuple[Any, Sequence[Any], dict[str, Any], list[Tensor]]] = []
        self.before: dict[int, tuple[Tensor, Tensor]] = {}
        self._made: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        given = dict(kwargs or {})
        name = func.overloadpacket.__name__
        if name in READS:
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        taken = [each for each in tree_leaves((args, given)) if isinstance(each, Tensor)]
        for each in taken:
            self._keep(each)
        result = func(*args, **given)
        inputs = {_memory(each) for each in taken}
        made = [each for each in tree_leaves(result) if isinstance(each, Tensor)]
        new = [each for each in made if _memory(each) not in inputs]
        self._made |= {_memory(each) for each in new}
        self.done.append((func, args, given, [] if len(new) < len(made) else new))
        return result

    def _keep(self, tensor: Tensor) -> None:
        memory = _memory(tensor)
        if memory not in self._made and memory not in self.before:
            whole = torch.empty(0, dtype=tensor.dtype).set_(tensor.detach().untyped_storage())
            self.before[memory] = (whole, whole.clone())


class Tape:
    """The same methods as `cnntrain.train.graphed.CudaGraph`."""

    def __init__(self, device: torch.device) -> None:
        self.plays = 0
        self._done: list[tuple[Any, Sequence[Any], dict[str, Any], list[Tensor]]] = []

    def warm_up(self, step: Callable[[], T]) -> T:
        """Do the step."""
        return step()

    def capture(self, step: Callable[[], T]) -> T:
        """Note it, and put everything back; what it made holds no sensible number."""
        recorder, drawn = _Recorder(), torch.get_rng_state()
        with recorder:
            result = step()
        torch.set_rng_state(drawn)
        with torch.no_grad():
            for now, before in recorder.before.values():
                now.copy_(before)
            for *_, made in recorder.done:
                for each in made:
                    each.detach().fill_(torch.nan if each.is_floating_point() else 0)
        self._done = recorder.done
        return result

    def replay(self) -> None:
        """Do again what was noted."""
        self.plays += 1
        with torch.no_grad():
            for func, args, given, made in self._done:
                again = [e for e in tree_leaves(func(*args, **given)) if isinstance(e, Tensor)]
                for old, new in zip(made, again if made else (), strict=True):
                    old.detach().copy_(new)


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata
