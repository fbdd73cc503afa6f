"""Channel gating."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Positive
from cnntrain.layers import layer
from cnntrain.layers.shapes import require_maps, shows


@layer("squeeze_excite")
class SqueezeExcite(nn.Module):
    """Squeeze and excitation: each map is multiplied by a gate between 0 and 1.

    The gates come from all maps' means z: `s = sigmoid(W2 relu(W1 z + b1) + b2)`, `y_c = s_c x_c`,
    with few values in the middle. W1 and W2 are the 1x1 convolutions `fc1` and `fc2`. Hu et al.,
    "Squeeze-and-Excitation Networks", 2018, equations 2 to 4. In a residual net it goes last into
    the `body`; in MobileNet V3 and EfficientNet before the last convolution there.

    Shape: (N, C, H, W) -> the same.

    Args:
        reduction: the maps divided by the values in the middle, rounded down; null means 16, or
            what `squeeze` makes it.
        squeeze: the values in the middle; null leaves them to `reduction`.
        bias: whether b1 and b2 are learned, or else 0.
        activation: of the values in the middle: relu, or EfficientNet's silu.
        gate: the function at the end: sigmoid, or MobileNet V3's hard_sigmoid.

    Raises:
        ValueError: reduction exceeds the channels, both it and squeeze are given, or the input has
            no height and width.
    """

    # Like batch statistics, the means are left out of the receptive field: no `receptive_field`.

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        reduction: Positive | None = None,
        squeeze: Positive | None = None,
        bias: bool = True,
        activation: Literal["relu", "silu"] = "relu",
        gate: Literal["sigmoid", "hard_sigmoid"] = "sigmoid",
    ) -> None:
        super().__init__()
        require_maps("squeeze_excite", in_shape)
        middle = squeeze or _reduced(in_shape[0], 16 if reduction is None else reduction)
        if reduction is not None and squeeze is not None:
            raise ValueError(
                f"squeeze_excite: reduction {reduction} and squeeze {squeeze} both say how many "
                f"values are in the middle; remove one of them"
            )
        self.fc1 = nn.Conv2d(in_shape[0], middle, 1, bias=bias)
        self.fc2 = nn.Conv2d(middle, in_shape[0], 1, bias=bias)
        self.activation = activation
        self.gate = gate

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same."""
        means = self.fc1(x.mean(dim=(2, 3), keepdim=True))
        middle = functional.relu(means) if self.activation == "relu" else functional.silu(means)
        scores = self.fc2(middle)
        gates = scores.sigmoid() if self.gate == "sigmoid" else functional.hardsigmoid(scores)
        return x * gates

    extra_repr = shows("activation", "gate")


def _reduced(channels: int, reduction: int) -> int:
    if reduction > channels:
        raise ValueError(
            f"squeeze_excite: reduction {reduction} leaves nothing of {channels} channels; "
            f"use at most {channels}"
        )
    return channels // reduction
