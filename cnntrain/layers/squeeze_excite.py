"""Channel gating."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Positive
from cnntrain.layers import layer
from cnntrain.layers.shapes import require_maps


@layer("squeeze_excite")
class SqueezeExcite(nn.Module):
    """Squeeze and excitation: each map is multiplied by a gate between 0 and 1.

    The gates come from all maps' means z: `s = sigmoid(W2 relu(W1 z + b1) + b2)`, `y_c = s_c x_c`,
    with C / reduction values in the middle. W1 and W2 are the 1x1 convolutions `fc1` and `fc2`.
    Hu et al., "Squeeze-and-Excitation Networks", 2018, equations 2 to 4. In a residual net it goes
    last into the `body`.

    Shape: (N, C, H, W) -> the same.

    Args:
        reduction: the maps divided by the values in the middle, rounded down.
        bias: whether b1 and b2 are learned, or else 0.

    Raises:
        ValueError: reduction exceeds the channels, or the input has no height and width.
    """

    # Like batch statistics, the means are left out of the receptive field: no `receptive_field`.

    def __init__(
        self, *, in_shape: tuple[int, ...], reduction: Positive = 16, bias: bool = True
    ) -> None:
        super().__init__()
        require_maps("squeeze_excite", in_shape)
        channels = in_shape[0]
        if reduction > channels:
            raise ValueError(
                f"squeeze_excite: reduction {reduction} leaves nothing of {channels} channels; "
                f"use at most {channels}"
            )
        self.fc1 = nn.Conv2d(channels, channels // reduction, 1, bias=bias)
        self.fc2 = nn.Conv2d(channels // reduction, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        means = x.mean(dim=(2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(functional.relu(self.fc1(means))))
