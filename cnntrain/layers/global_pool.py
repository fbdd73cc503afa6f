"""Global pooling: one number per map."""

from __future__ import annotations

from torch import Tensor, nn

from cnntrain.layers import layer
from cnntrain.layers.shapes import require_maps


@layer("global_avg_pool", affine="plain")
class GlobalAvgPool(nn.Module):
    """Global average pooling: the mean of each map.

    Lin et al., "Network in Network", 2013, section 3.2.

    Shape: (N, C, H, W) -> (N, C); flat, so `linear` may follow.

    Raises:
        ValueError: the input has no height and width.
    """

    receptive_field = "image"

    def __init__(self, *, in_shape: tuple[int, ...]) -> None:
        super().__init__()
        require_maps("global_avg_pool", in_shape)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C)."""
        return x.mean(dim=(2, 3))


@layer("global_max_pool")
class GlobalMaxPool(nn.Module):
    """Global max pooling: the largest value of each map.

    Where several pixels share the maximum they share the gradient. Oquab et al., "Is object
    localization for free?", 2015.

    Shape: (N, C, H, W) -> (N, C); flat, so `linear` may follow.

    Raises:
        ValueError: the input has no height and width.
    """

    receptive_field = "image"

    def __init__(self, *, in_shape: tuple[int, ...]) -> None:
        super().__init__()
        require_maps("global_max_pool", in_shape)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C)."""
        return x.amax(dim=(2, 3))
