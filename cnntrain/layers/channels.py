"""Layers that choose channels or change their order."""

from __future__ import annotations

from torch import Tensor, nn

from cnntrain.core.kinds import NonNegative, Positive
from cnntrain.layers import layer
from cnntrain.layers.shapes import require_maps, shows


@layer("channel_slice", affine="plain")
class ChannelSlice(nn.Module):
    """Channel slice: the channels from `start` to before `stop`, as in Python.

    Nothing is computed or copied. ShuffleNet V2 splits its maps so: Ma et al., "ShuffleNet V2:
    Practical Guidelines for Efficient CNN Architecture Design", 2018, section 3.2.

    Shape: (N, C, ...) -> (N, stop - start, ...).

    Args:
        start: the first channel; they are numbered from 0.
        stop: the channel after the last one; null means all up to the end.

    Raises:
        ValueError: the input does not have these channels, or none is chosen.
    """

    def __init__(
        self, *, in_shape: tuple[int, ...], start: NonNegative = 0, stop: Positive | None = None
    ) -> None:
        super().__init__()
        self.start = start
        self.stop = in_shape[0] if stop is None else stop
        if not self.start < self.stop <= in_shape[0]:
            raise ValueError(
                f"channel_slice: start {self.start} and stop {self.stop} choose no channels of the "
                f"{in_shape[0]} there are; use 0 <= start < stop <= {in_shape[0]}"
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, ...) -> (N, stop - start, ...)."""
        return x[:, self.start : self.stop]

    extra_repr = shows("start", "stop")


@layer("channel_shuffle", affine="plain")
def channel_shuffle(*, in_shape: tuple[int, ...], groups: Positive) -> nn.ChannelShuffle:
    """Channel shuffle: the first map of each group, then the second of each, and so on.

    Channel `i` of group `g`, of `C / groups` channels each, becomes channel `i groups + g`, so that
    what groups or branches computed apart is mixed. Zhang et al., "ShuffleNet: An Extremely
    Efficient Convolutional Neural Network for Mobile Devices", 2018, section 3.1.

    Shape: (N, C, H, W) -> the same.

    Args:
        groups: number of groups.

    Raises:
        ValueError: groups do not divide the channels, or the input has no height and width.
    """
    require_maps("channel_shuffle", in_shape)
    if in_shape[0] % groups:
        raise ValueError(
            f"channel_shuffle: groups {groups} does not divide the {in_shape[0]} channels; "
            f"choose a divisor of {in_shape[0]}"
        )
    return nn.ChannelShuffle(groups)
