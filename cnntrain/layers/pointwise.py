"""The same fully connected layer at each pixel."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Positive
from cnntrain.layers import layer
from cnntrain.layers.shapes import channels_last_and_back, require_maps, shows


@layer("pointwise", affine="mixes")
class Pointwise(nn.Module):
    """Pointwise layer: y[:, i, j] = W x[:, i, j] + b, the same W and b at each pixel.

    It is a 1x1 convolution whose weights are a matrix, computed as a matrix product with the
    channels last. Liu et al., "A ConvNet for the 2020s", 2022, figure 4, whose code has it beside
    `layer_norm`, which computes that way, too.

    Shape: (N, C, H, W) -> (N, out, H, W).

    Args:
        out: number of output maps.

    Raises:
        ValueError: the input has no height and width.
    """

    def __init__(self, *, in_shape: tuple[int, ...], out: Positive) -> None:
        super().__init__()
        require_maps("pointwise", in_shape)
        plain = nn.Linear(in_shape[0], out)  # for its initial values
        self.weight, self.bias = plain.weight, plain.bias
        self.out = out
        self._last, self._back = channels_last_and_back(in_shape)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, out, H, W)."""
        return functional.linear(x.permute(self._last), self.weight, self.bias).permute(self._back)

    extra_repr = shows("out")
