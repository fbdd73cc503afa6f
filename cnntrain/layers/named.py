"""What a layer is given of another layer above it that one of its parameters names."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Named:
    """A layer above in the same list, for one that is declared with the option `names`.

    `@layer("tied", names="to")` says that the parameter `to` names a layer; it is filled in as
    `named`. Keep the module in a tuple: it has its place in the network, and its weights are not to
    be there twice.

    Args:
        module: the layer itself, with its weights.
        in_shape: what it reads, without N.
        out_shape: what it gives.
    """

    module: nn.Module
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
