"""Local contrast normalisation."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from cnntrain.core.kinds import Positive, PositiveFloat
from cnntrain.layers import layer
from cnntrain.layers.shapes import require_maps, require_odd, shows, widened, without_autocast


@layer("lcn")
class LocalContrastNorm(nn.Module):
    """Local contrast normalisation: local mean 0, local standard deviation 1.

    Around every pixel j, with weights w of a Gaussian window that sum to 1:

        v_j = x_j - sum_i w_ij x_i
        sigma_j = sqrt(sum_i w_ij v_i**2)
        y_j = v_j / max(floor, sigma_j)

    Jarrett et al., "What is the Best Multi-Stage Architecture for Object Recognition?", 2009,
    section 2.1. At the border the window is cut and its weights still sum to 1, so that brightness
    (x + b) changes nothing anywhere, a constant image gives exactly zero, and so does contrast
    (a x) above the floor. The arithmetic is float32 at least, under autocast too.

    Shape: (N, C, H, W) -> the same.

    Args:
        kernel: side of the window in pixels, odd.
        sigma: standard deviation of the Gaussian in pixels; null means kernel / 4.
        across_maps: one mean and one sigma per pixel over all maps (the paper), or else each map
            is normalised by itself.
        floor: 'mean' for the mean of sigma over the image (the paper; per map without across_maps),
            or a number. Regions of less contrast are not amplified to full contrast.
        epsilon: sigma is never taken as less than this, so a constant image has a gradient.

    Raises:
        ValueError: the kernel is even, or nothing but the pixel itself is in the window, or the
            input has no height and width.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        kernel: Positive = 9,
        sigma: PositiveFloat | None = None,
        across_maps: bool = True,
        floor: Literal["mean"] | PositiveFloat = "mean",
        epsilon: PositiveFloat = 1e-4,
    ) -> None:
        super().__init__()
        require_maps("lcn", in_shape)
        require_odd("lcn: kernel", kernel)
        if kernel == 1 and (not across_maps or in_shape[0] == 1):
            raise ValueError("lcn: with kernel 1 a pixel is its own mean; use kernel 3 or more")
        self.kernel = kernel
        self.sigma = kernel / 4 if sigma is None else sigma
        self.across_maps = across_maps
        self.floor = floor
        self.epsilon = epsilon
        # What one output sees: sigma's window, of values that each saw the mean's window. That the
        # mean floor, one number, sees the whole image is left out, as for batch statistics.
        self.kernel_size = 2 * kernel - 1
        self.stride, self.padding, self.dilation = 1, kernel - 1, 1

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> the same shape and type."""
        sizes = (self.kernel, self.sigma, self.floor, self.epsilon)
        return normalise_contrast(x, *sizes, across_maps=self.across_maps)

    extra_repr = shows("kernel", "sigma", "across_maps", "floor", "epsilon")


@torch.fx.wrap  # one node of a traced graph: autocast below needs the real device
def normalise_contrast(
    x: Tensor,
    kernel: int,
    sigma: float,
    floor: Literal["mean"] | float,
    epsilon: float,
    *,
    across_maps: bool,
) -> Tensor:
    """The function of `LocalContrastNorm`: (N, C, H, W) -> the same shape and type."""
    with without_autocast(x):
        values = widened(x)
        # The result depends on differences only, so any reference will do, without a gradient. A
        # pixel of the image itself makes a constant image exactly zero before any rounding.
        reference = values[:, :1, :1, :1] if across_maps else values[:, :, :1, :1]
        values = values - reference.detach()
        rows = _windows(values.shape[2], like=values, kernel=kernel, sigma=sigma)
        columns = _windows(values.shape[3], like=values, kernel=kernel, sigma=sigma)

        def local_mean(maps: Tensor) -> Tensor:
            pooled = maps.mean(dim=1, keepdim=True) if across_maps else maps
            return rows @ pooled @ columns.T

        centred = values - local_mean(values)
        # The clamp comes before the root, whose slope at 0 is infinite.
        deviation = local_mean(centred.square()).clamp_min(epsilon**2).sqrt()
        if floor == "mean":
            divisor = torch.maximum(deviation, deviation.mean(dim=(2, 3), keepdim=True))
        else:
            divisor = deviation.clamp_min(floor)
        return (centred / divisor).to(x.dtype)


def _windows(length: int, *, like: Tensor, kernel: int, sigma: float) -> Tensor:
    """Row j: the Gaussian around pixel j, cut at the borders, with sum 1; (length, length).

    The Gaussian is separable, so a local mean is `rows @ image @ columns.T`. Two products with
    these band matrices are faster than convolutions with so few channels (on a CPU 4 to 10 times,
    forward and backward, for images of 32 to 512 pixels), and stay float32 where a GPU's
    convolutions round to TF32.
    """
    position = torch.arange(length, device=like.device, dtype=like.dtype)
    distance = position[:, None] - position
    weight = torch.exp(-0.5 * (distance / sigma) ** 2)
    weight = weight.masked_fill(distance.abs() > kernel // 2, 0.0)
    return weight / weight.sum(dim=1, keepdim=True)
