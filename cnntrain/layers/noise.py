"""Noise that spoils what a layer reads, in training only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.core.kinds import Fraction, PositiveFloat
from cnntrain.layers import layer
from cnntrain.layers.shapes import shows


@layer("gaussian_noise", affine="plain")
class GaussianNoise(nn.Module):
    """Gaussian noise: in training y = x + std e, with e ~ N(0, 1) drawn for each value.

    Evaluation passes its input on unchanged. In front of an autoencoder, whose target is the image
    without noise, it makes a denoising one: Vincent et al., "Stacked Denoising Autoencoders", 2010,
    section 3.3. Elsewhere it regularises: Bishop, "Training with Noise is Equivalent to Tikhonov
    Regularization", 1995.

    Shape: any -> the same.

    Args:
        std: standard deviation of the noise, in units of what the layer reads.
    """

    def __init__(self, *, std: PositiveFloat = 0.1) -> None:
        super().__init__()
        self.std = std

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> the same."""
        return x + self.std * torch.randn_like(x) if self.training else x

    extra_repr = shows("std")


@layer("masking_noise", affine="plain")
class MaskingNoise(nn.Module):
    """Masking noise: in training each value is set to zero with probability p.

    The others stay as they are; `dropout` would multiply them by 1 / (1 - p). Evaluation passes its
    input on unchanged. It is the corruption of the denoising autoencoder: Vincent et al.,
    "Extracting and Composing Robust Features with Denoising Autoencoders", 2008, section 2.3.

    Shape: any -> the same.

    Args:
        p: probability that a value is zeroed; the paper's nu.
    """

    def __init__(self, *, p: Fraction = 0.25) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> the same."""
        return x * torch.empty_like(x).bernoulli_(1 - self.p) if self.training else x

    extra_repr = shows("p")
