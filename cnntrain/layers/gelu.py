"""Gaussian error linear unit."""

from __future__ import annotations

from torch import Tensor, nn

from cnntrain.layers import layer
from cnntrain.layers.shapes import channels_last_and_back


@layer("gelu")
class Gelu(nn.GELU):
    """Gaussian error linear unit: x Phi(x), with the normal distribution function Phi.

    Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016.

    Shape: any -> the same.
    """

    # The last bit of torch's result depends on the order of the values in memory. Read with the
    # channels last they are in order in ConvNeXt, as in its authors' code.

    def __init__(self, *, in_shape: tuple[int, ...]) -> None:
        super().__init__()
        self._last, self._back = channels_last_and_back(in_shape)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same."""
        return super().forward(x.permute(self._last)).permute(self._back)
