"""The reverse of max pooling."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.layers import layer
from cnntrain.layers.named import Named
from cnntrain.layers.shapes import pair, shows


@layer("unpool", names="of", reads_named=True)
class Unpool(nn.Module):
    """Unpooling: each value back to the place where a `max_pool` above found its maximum.

    The places (the switches) are those of the same image; all others become 0. Where windows
    overlap and share a maximum, the values add up, as gradients do. It reads what the named pooling
    reads, and finds the maxima there again, so the pooling is as it is without an unpooling. No
    gradient goes through the switches. Zeiler et al., "Adaptive Deconvolutional Networks for Mid
    and High Level Feature Learning", 2011; Zhao et al., "Stacked What-Where Auto-Encoders", 2016.

    Shape: what the named pooling gives -> what it reads.

    Args:
        of: name of a `max_pool` above in the same list.

    Raises:
        ValueError: the named layer is not `max_pool`, or gives another shape than this one reads.
    """

    def __init__(self, *, in_shape: tuple[int, ...], named: Named, of: str) -> None:
        super().__init__()
        pool = named.module
        if not isinstance(pool, nn.MaxPool2d):
            raise ValueError(f"unpool: '{of}' is not a max_pool; name one")
        if in_shape != named.out_shape:
            raise ValueError(
                f"unpool: '{of}' gives {named.out_shape}, and each of its values has one switch; "
                f"put layers between that lead back to this shape"
            )
        self.of = of
        self._window = pair(pool.kernel_size), pair(pool.stride), pair(pool.padding)
        self._ceil = pool.ceil_mode

    def forward(self, x: Tensor, before: Tensor) -> Tensor:
        """(N, C, H', W') and what was pooled, (N, C, H, W) -> (N, C, H, W)."""
        _, switches = functional.max_pool2d_with_indices(
            before.detach(), *self._window, ceil_mode=self._ceil
        )
        empty = torch.zeros_like(before, dtype=x.dtype).flatten(2)
        return empty.scatter_add(2, switches.flatten(2), x.flatten(2)).reshape(before.shape)

    extra_repr = shows("of")
