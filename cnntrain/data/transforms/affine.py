"""Rotate, shift, scale and shear images."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import NonNegativeFloat, Range
from cnntrain.data import transform
from cnntrain.data.on_device import constant
from cnntrain.data.transform_parts import SameSize, stored_as, uniform


@transform("affine", random=True)
class Affine(SameSize):
    """A random affine map about the middle of the image, in torchvision's convention.

    The point p of the image goes to `T R S p`: first shear and scale, then rotate, then shift.
    Interpolation is bilinear; what comes from outside is zero (black, or the mean after
    `normalize`). LeCun et al. 1998 (section III.B) distort MNIST so: 0.95 % -> 0.8 % test error.

    Args:
        rotate: degrees; the angle is drawn between minus and plus this.
        translate: share of height and width; the shift is drawn between minus and plus this.
        scale: the factor is drawn from this range.
        shear: degrees; drawn between minus and plus this, along x and along y.
    """

    def __init__(
        self,
        *,
        rotate: NonNegativeFloat = 0.0,
        translate: NonNegativeFloat = 0.0,
        scale: Range = (1.0, 1.0),
        shear: NonNegativeFloat = 0.0,
    ) -> None:
        if scale[0] <= 0:
            raise ValueError(f"scale must be positive, not {list(scale)}")
        if shear >= 90:
            raise ValueError(f"shear must be less than 90 degrees, not {shear}")
        if translate > 1:
            raise ValueError(f"translate is a share of the image, at most 1, not {translate}")
        self.rotate = rotate
        self.translate = translate
        self.scale = scale
        self.shear = shear

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """Map each of `(N, C, H, W)`; uint8 stays uint8."""
        count, _, height, width = images.shape

        def around_zero(most: float) -> Tensor:
            return uniform(count, -most, most, generator)

        angle = around_zero(self.rotate)
        shift = [around_zero(self.translate) * side for side in (width, height)]
        factor = uniform(count, *self.scale, generator)
        shear = [around_zero(self.shear) for _ in range(2)]
        return warp(images, angle=angle, shift=torch.stack(shift, dim=1), factor=factor,
                    shear=torch.stack(shear, dim=1))  # fmt: skip


def warp(images: Tensor, *, angle: Tensor, shift: Tensor, factor: Tensor, shear: Tensor) -> Tensor:
    """The affine map with given numbers, each image its own.

    Args:
        images: `(N, C, H, W)`.
        angle: `(N,)` degrees, clockwise on the screen.
        shift: `(N, 2)` pixels right and down.
        factor: `(N,)`.
        shear: `(N, 2)` degrees along x and y.
    """
    count, _, height, width = images.shape
    turn = torch.deg2rad(angle)
    slant_x, slant_y = torch.deg2rad(shear).unbind(1)
    # forward matrix R(angle) Shear_y Shear_x scale, as torchvision composes it
    a = torch.cos(turn - slant_y) / torch.cos(slant_y)
    b = -torch.cos(turn - slant_y) * torch.tan(slant_x) / torch.cos(slant_y) - torch.sin(turn)
    c = torch.sin(turn - slant_y) / torch.cos(slant_y)
    d = -torch.sin(turn - slant_y) * torch.tan(slant_x) / torch.cos(slant_y) + torch.cos(turn)
    # its inverse (the determinant before scaling is one) says where each pixel comes from
    inverse = torch.stack([d, -b, -c, a], dim=1).view(count, 2, 2) / factor[:, None, None]
    origin = -(inverse @ shift[:, :, None])
    half = constant((width / 2, height / 2), images.device)
    # pixels to grid_sample's units, in which each axis runs from -1 to 1
    theta = torch.cat([inverse * (half / half[:, None]), origin / half[:, None]], dim=2)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    result = F.grid_sample(images.float(), grid, mode="bilinear", align_corners=False)
    return stored_as(images, result)
