"""How alike images are: peak signal-to-noise ratio and structural similarity."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BEST = 100.0
"""dB that images have at most which are the same: the ratio would be infinite."""
WINDOW, SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(images: Tensor, targets: Tensor) -> Tensor:
    """`(N,)` dB: `10 log10(1 / mean squared error)` of each image.

    Args:
        images, targets: `(N, C, H, W)` from 0 to 1, so that the peak is 1.
    """
    errors = (images - targets).square().flatten(1).mean(dim=1)
    return -10 * errors.clamp(min=10 ** (-BEST / 10)).log10()


def ssim(images: Tensor, targets: Tensor) -> Tensor | None:
    """`(N,)`: the mean structural similarity of each image, 1 where it is the target.

    Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to Structural
    Similarity", 2004, equation 13, with Gaussian windows of 11 x 11 and sigma 1.5 that lie within
    the image, K1 = 0.01 and K2 = 0.03; the mean over windows and channels.

    Args:
        images, targets: `(N, C, H, W)` from 0 to 1; None is returned where they are smaller than a
            window.
    """
    if min(images.shape[2:]) < WINDOW:
        return None
    x, y = images.double() if images.is_cpu else images, targets.to(images.device)
    y = y.to(x.dtype)
    distances = torch.arange(WINDOW, dtype=x.dtype, device=x.device) - WINDOW // 2
    line = torch.exp(-distances.square() / (2 * SIGMA**2))
    line = line / line.sum()

    def blurred(maps: Tensor) -> Tensor:
        flat = maps.flatten(0, 1)[:, None]
        return F.conv2d(F.conv2d(flat, line.view(1, 1, -1, 1)), line.view(1, 1, 1, -1))

    mean_x, mean_y = blurred(x), blurred(y)
    var_x = blurred(x * x) - mean_x.square()
    var_y = blurred(y * y) - mean_y.square()
    covariance = blurred(x * y) - mean_x * mean_y
    alike = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    alike = alike / ((mean_x.square() + mean_y.square() + _C1) * (var_x + var_y + _C2))
    found: Tensor = alike.view(len(images), -1).mean(dim=1)
    return found
