"""One learned factor for each map of a residual branch, near zero at first."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.core.kinds import PositiveFloat
from cnntrain.layers import layer


@layer("layer_scale", affine="plain")
class LayerScale(nn.Module):
    """Layer scale: y_c = g_c x_c, with factors that start close to 0.

    It goes last into the `body` of a `residual`, which is then close to the identity at first.
    Touvron et al., "Going Deeper with Image Transformers", 2021, equation 4; for convolutions Liu
    et al., "A ConvNet for the 2020s", 2022, appendix A. A `gain` starts at 1.

    Shape: (N, C, H, W) or (N, C) -> the same.

    Args:
        initial: the factors before training.
    """

    undecayed = ("scale",)

    def __init__(self, *, in_shape: tuple[int, ...], initial: PositiveFloat = 1e-6) -> None:
        super().__init__()
        spread = [1] * (len(in_shape) - 1)
        self.scale = nn.Parameter(torch.full((in_shape[0], *spread), float(initial)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> the same shape and type."""
        return self.scale.to(x.dtype) * x
