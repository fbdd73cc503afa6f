"""Layer normalisation over the channels."""

from __future__ import annotations

from torch import Tensor, nn

from cnntrain.core.kinds import PositiveFloat
from cnntrain.layers import layer
from cnntrain.layers.shapes import channels_last_and_back


@layer("layer_norm", affine="scales")
class LayerNorm(nn.LayerNorm):
    """Layer normalisation over channels: y = gamma (x - mean) / sqrt(variance + epsilon) + beta.

    Mean and variance (biased, 1/m) are those of the C values of each pixel by itself, as in Liu et
    al., "A ConvNet for the 2020s", 2022, section 2.6; those of `group_norm` with one group are
    taken over the pixels, too. Ba et al., "Layer Normalization", 2016, equations 3 and 4.

    Shape: (N, C, H, W) or (N, C) -> the same.

    Args:
        epsilon: added to the variance.
    """

    def __init__(self, *, in_shape: tuple[int, ...], epsilon: PositiveFloat = 1e-6) -> None:
        super().__init__(in_shape[0], eps=epsilon)
        self._last, self._back = channels_last_and_back(in_shape)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same."""
        return super().forward(x.permute(self._last)).permute(self._back)
