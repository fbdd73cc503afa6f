"""The parameter-free shortcut of residual nets."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Positive, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pair, require_maps, shows


@layer("zero_pad_shortcut", affine="plain")
class ZeroPadShortcut(nn.Module):
    """Zero-padding shortcut: every stride-th pixel, and zero maps for the missing channels.

    Option A of He et al., "Deep Residual Learning for Image Recognition", 2015, sections 3.3 and
    4.2, used for CIFAR-10. The paper does not say where the zero maps go; here half of them come
    before the input's maps and half after (one more after if their number is odd), as in the
    common implementations for CIFAR-10.

    Shape: (N, C, H, W) -> (N, out, ceil(H / stride), ceil(W / stride)).

    Args:
        out: number of output maps, at least that of the input.
        stride: step of the subsampling in pixels, or [vertical, horizontal].

    Raises:
        ValueError: there are fewer output than input maps, or the input has no height and width.
    """

    kernel_size = 1
    padding = 0
    dilation = 1

    def __init__(self, *, in_shape: tuple[int, ...], out: Positive, stride: Size = 1) -> None:
        super().__init__()
        require_maps("zero_pad_shortcut", in_shape)
        missing = out - in_shape[0]
        if missing < 0:
            raise ValueError(
                f"zero_pad_shortcut: out {out} is less than the {in_shape[0]} input maps, and "
                f"padding cannot remove maps; use at least {in_shape[0]}"
            )
        self.stride = pair(stride)
        self.before = missing // 2
        self.after = missing - self.before

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, ceil(H / stride), ceil(W / stride))."""
        sampled = x[:, :, :: self.stride[0], :: self.stride[1]]
        return functional.pad(sampled, (0, 0, 0, 0, self.before, self.after))

    extra_repr = shows("stride", "before", "after")
