"""What this machine can do at most: matrix products and copies of its memory, measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

from cnntrain.train.precision import Precision

SIDE, SIDE_ON_GPU = 1024, 8192
"""Of the square matrices."""

NUMBERS, NUMBERS_ON_GPU = 16 * 2**20, 256 * 2**20
"""That are copied, of 4 bytes each: more than any cache holds."""

TRIES = 7

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


@dataclass(frozen=True)
class Peak:
    """Of a device, as the fastest of some tries.

    Args:
        products: floating-point operations per second in a matrix product, two for each
            multiply-add.
        copies: bytes per second, those read and those written.
    """

    products: float
    copies: float

    def or_faster(self, other: Peak) -> Peak:
        """The faster one of each: a machine that does something else meanwhile is slower."""
        return Peak(max(self.products, other.products), max(self.copies, other.copies))


def measure_peak(
    device: torch.device,
    *,
    precision: Precision = "float32",
    clock: Callable[[], float] = perf_counter,
) -> Peak:
    """Measure them, in well under a second."""
    on_gpu = device.type == "cuda"
    side = SIDE_ON_GPU if on_gpu else SIDE
    factor = torch.ones(side, side, device=device, dtype=_DTYPES[precision])
    product = torch.empty_like(factor)
    source = torch.zeros(NUMBERS_ON_GPU if on_gpu else NUMBERS, device=device)
    target = torch.empty_like(source)

    def fastest(do: Callable[[], object]) -> float:
        times = []
        for _ in range(TRIES):
            began = clock()
            do()
            if on_gpu:
                torch.cuda.synchronize(device)
            times.append(clock() - began)
        return min(times[1:])  # the first one takes the memory

    with torch.inference_mode():
        multiplied = fastest(lambda: torch.mm(factor, factor, out=product))
        copied = fastest(lambda: target.copy_(source))
    return Peak(2 * side**3 / multiplied, 2 * source.nbytes / copied)
