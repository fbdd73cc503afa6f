"""Multiply-adds of whatever runs, by torch's own formulas for each of its operations."""

from __future__ import annotations

from typing import Any

from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from cnntrain.arch.meta_shapes import outline


class MultiplyAdds(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's class
    """Counts while it is entered: convolutions and matrix products; the rest counts nothing.

    torch's `FlopCounterMode` gives the same numbers; it also watches every module and imports
    torch's compiler, which together take longer than planning a network.
    """

    total = 0
    """Multiply-adds so far; a FLOP count is twice that."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No compiler has to be told to look away: nothing is compiled in here."""
        return False

    def __torch_dispatch__(
        self, func: OpOverload, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run one operation, or what it is composed of where torch has no formula for it."""
        kwargs = kwargs or {}
        output = outline(func, args, kwargs)
        formula = flop_registry.get(func.overloadpacket)
        if formula is None and output is None:
            with self:
                composed = func.decompose(*args, **kwargs)
            return func(*args, **kwargs) if composed is NotImplemented else composed
        if output is None:
            output = func(*args, **kwargs)
        if formula is not None:
            self.total += formula(*args, **kwargs, out_val=output) // 2
        return output
