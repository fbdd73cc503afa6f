"""Whitened patches: a first layer whose weights follow from the images."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import PositiveFloat, Size
from cnntrain.layers import layer
from cnntrain.layers.shapes import pair, require_maps, shows

_AT_ONCE = 1024
"""Images whose patches are unfolded together."""


@layer("whiten", affine="plain")
class Whiten(nn.Module):
    """Whitening: each patch along the principal axes of all patches, each axis at variance 1.

    With the covariance of the patches of many images, `cov = sum over i of l_i e_i e_i'`, the
    weights are `w_i = e_i / sqrt(l_i + epsilon)`, from the largest `l_i` to the smallest, and after
    them all `-w_i`, so that an activation loses no half of an axis. They are not trained; a bias
    is. They are computed before the first step of a training, from what this layer reads of the
    first training images (5,000 of them; all processes together), and are the pixels of the patch
    until then. A checkpoint has them. As a first layer it speeds up training: Page, "How to Train
    Your ResNet", 2019; Jordan, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU", 2024, section
    3.2, whose kernel and epsilon these are.

    Shape: (N, C, H, W) -> (N, 2 C kernel^2, H - kernel + 1, W - kernel + 1).

    Args:
        kernel: side of a patch in pixels, or [height, width].
        epsilon: added to each variance, so that axes with nothing but noise are not blown up.
        bias: whether each output map has a learned offset.

    Raises:
        ValueError: the input has no height and width, or is smaller than a patch.
    """

    weight: Tensor

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        kernel: Size = 2,
        epsilon: PositiveFloat = 5e-4,
        bias: bool = True,
    ) -> None:
        super().__init__()
        require_maps("whiten", in_shape)
        self.kernel_size = height, width = pair(kernel)
        if height > in_shape[1] or width > in_shape[2]:
            raise ValueError(
                f"whiten: a patch of {height} x {width} is larger than the input of "
                f"{in_shape[1]} x {in_shape[2]}; use a smaller kernel"
            )
        self.epsilon = epsilon
        axes = torch.eye(in_shape[0] * height * width)
        self.register_buffer("weight", self._kernels(axes, torch.ones(len(axes))))
        self.bias = nn.Parameter(torch.zeros(2 * len(axes))) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, 2 C kernel^2, H', W')."""
        return functional.conv2d(x, self.weight.to(x.dtype), self.bias)

    @torch.no_grad()
    def learn_from(self, inputs: Tensor) -> None:
        """Have the weights that whiten the patches of `(N, C, H, W)`; in float64, on the host."""
        size = self.weight[0].numel()
        count, total, products = 0, torch.zeros(size).double(), torch.zeros(size, size).double()
        for some in torch.split(inputs, _AT_ONCE):
            patches = functional.unfold(some.cpu().double(), self.kernel_size)
            patches = patches.transpose(1, 2).flatten(0, 1)
            count += len(patches)
            total += patches.sum(dim=0)
            products += patches.T @ patches
        mean = total / count
        variances, axes = torch.linalg.eigh(products / count - torch.outer(mean, mean))
        variances, axes = variances.flip(0).clamp_min(0), axes.T.flip(0)
        # an axis has two directions: the same one on every machine
        largest = axes.gather(1, axes.abs().argmax(dim=1, keepdim=True))
        self.weight.copy_(self._kernels(axes * largest.sign(), variances))

    def _kernels(self, axes: Tensor, variances: Tensor) -> Tensor:
        """`(2 A, C, height, width)` of axes `(A, C height width)`."""
        scaled = axes / (variances + self.epsilon).sqrt()[:, None]
        shape = (2 * len(axes), -1, *self.kernel_size)
        return torch.cat([scaled, -scaled]).reshape(shape).float()

    extra_repr = shows("kernel_size", "epsilon")
