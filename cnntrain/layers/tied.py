"""A decoder that shares the weights of its encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.layers import layer
from cnntrain.layers.named import Named
from cnntrain.layers.shapes import shows


@layer("tied", affine="mixes", names="to")
class Tied(nn.Module):
    """Tied weights: the transpose of the weights of a `linear` or a `conv` above, and own biases.

    An autoencoder's decoder g(h) = W^T h + c for the encoder W x + b: half the weights, and no
    scale that encoder and decoder could trade. Of a convolution it is the transposed convolution
    with the same kernels, stride and padding, which gives maps of the size that the convolution
    reads. The weight is the encoder's: it is stored, counted and decayed once, its gradient is the
    sum of both uses, and freezing the encoder freezes it here too. The biases c begin at 0. Vincent
    et al., "Stacked Denoising Autoencoders", 2010, section 2.1 (their W' = W^T).

    Shape: what the named layer gives -> what it reads.

    Args:
        to: name of a layer above in the same list.
        bias: whether each output has a learned offset.

    Raises:
        ValueError: the named layer is neither `linear` nor `conv` (with zeros around), or it gives
            another shape than this one reads.
    """

    def __init__(
        self, *, in_shape: tuple[int, ...], named: Named, to: str, bias: bool = True
    ) -> None:
        super().__init__()
        module = named.module
        if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
            raise ValueError(f"tied: '{to}' has circular padding; use zeros, or conv_transpose")
        if isinstance(module, nn.Conv2d) and isinstance(module.padding, str):
            raise ValueError(f"tied: '{to}' has its padding in words; give it as numbers")
        if not isinstance(module, nn.Conv2d | nn.Linear):
            raise ValueError(f"tied: '{to}' is neither a linear nor a conv; name one that is")
        if in_shape != named.out_shape:
            raise ValueError(
                f"tied: '{to}' gives {named.out_shape}; put layers between that lead back to it"
            )
        self.encoder = to
        self._named = (module,)  # no child: the weight has its place in the network already
        self.bias = nn.Parameter(torch.zeros(named.in_shape[0])) if bias else None
        if isinstance(module, nn.Conv2d):
            self.kernel_size, self.stride = module.kernel_size, module.stride
            self.padding, self.dilation, self.transposed = module.padding, module.dilation, True
            self._pads = int(module.padding[0]), int(module.padding[1])
            self._missing = _missing(module, named)

    def forward(self, x: Tensor) -> Tensor:
        """(N, out) -> (N, in), or (N, out, H', W') -> (N, in, H, W)."""
        (named,) = self._named
        if isinstance(named, nn.Linear):
            return functional.linear(x, named.weight.t(), self.bias)
        return functional.conv_transpose2d(
            x,
            named.weight,
            self.bias,
            named.stride,
            self._pads,
            self._missing,
            named.groups,
            named.dilation,
        )

    extra_repr = shows("encoder")


def _missing(conv: nn.Conv2d, named: Named) -> tuple[int, int]:
    """Rows and columns at the bottom and right that no window of the convolution begins at.

    The transposed convolution would leave them out.
    """
    rows, columns = (
        (named.in_shape[axis + 1] + 2 * int(conv.padding[axis]) - reach - 1) % conv.stride[axis]
        for axis, reach in enumerate(
            conv.dilation[side] * (conv.kernel_size[side] - 1) for side in (0, 1)
        )
    )
    return rows, columns
