"""What a device is given without being waited for: constants, small tensors, random numbers.

A copy from ordinary memory to a GPU makes the host wait until the GPU has done all before it; so a
constant is copied once, and what is new in each batch goes through pinned memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from cnntrain.core.seeding import derive_seed

Numbers: TypeAlias = float | tuple["Numbers", ...]


@lru_cache(maxsize=256)
def constant(values: Numbers, device: torch.device) -> Tensor:
    """Numbers as float32 on a device, copied there once; never to be changed."""
    return torch.tensor(values, dtype=torch.float32).to(device)


@lru_cache(maxsize=64)
def middles(count: int, device: torch.device) -> Tensor:
    """`(count,)` float32: where the pixels of a line have their middles, 0.5, 1.5, ..."""
    return torch.arange(count, dtype=torch.float32, device=device).add_(0.5)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the host on the device; of a GPU only the copy waits for the work before it."""
    if device.type != "cuda" or tensor.device.type == "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


class SendingConstants(TorchFunctionMode):
    """Inside the block numbers that another library puts on a GPU go there as `sent` does it."""

    def __torch_function__(
        self,
        func: Callable[..., Tensor],
        types: object,
        args: tuple[object, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Tensor:
        """Make them on the host first; everything else is done as it is."""
        given = dict(kwargs or {})
        if func is not torch.tensor or (device := given.pop("device", None)) is None:
            return func(*args, **given)
        return sent(func(*args, **given), torch.device(device))


def begin_step(generator: torch.Generator, position: int) -> None:
    """Give a device's generator a seed of its own for one step of a pipeline.

    So what `on_host` draws from it differs from step to step. A generator of the CPU is left alone.
    """
    if generator.device.type != "cpu":
        generator.manual_seed(derive_seed(generator.initial_seed(), "step", position))


def on_host(generator: torch.Generator) -> torch.Generator:
    """A generator of the CPU whose numbers follow from the seed of a device's.

    For the few numbers of a batch: on the device each operation on them would be a kernel, and
    reading one would wait for it. A generator of the CPU is returned itself.
    """
    if generator.device.type == "cpu":
        return generator
    return torch.Generator().manual_seed(generator.initial_seed())
