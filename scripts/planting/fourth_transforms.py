"""More transforms that somebody wrote for a run, each with a mistake; see fourth_data.py."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.kinds import Fraction, PositiveFloat
from cnntrain.data import transform


def _pixels(images: Tensor) -> Tensor:
    return images.float() / 255 if images.dtype == torch.uint8 else images


class _SameSize:
    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Unchanged."""
        return size


@transform("pasted_box", random=True)
class PastedBox(_SameSize):
    """Cutmix as a plain transform: it is not given the labels, and so cannot mix them.

    Args:
        least: the smallest share of the image that comes from another one.
    """

    def __init__(self, *, least: Fraction = 0.5) -> None:
        self.least = least

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` with a box of another image in each."""
        height, width = images.shape[2:]
        found, others = images.clone(), images.roll(1, 0)
        drawn = torch.rand(len(images), 3, generator=generator, device=generator.device)
        for place, (share, down, across) in enumerate(drawn.tolist()):
            part = (self.least + (1 - self.least) * 0.8 * share) ** 0.5
            rows, columns = round(part * height), round(part * width)
            top, left = int(down * (height - rows + 1)), int(across * (width - columns + 1))
            box = (..., slice(top, top + rows), slice(left, left + columns))
            found[place][box] = others[place][box]
        return found


@transform("random_view")
class RandomView(_SameSize):
    """A turned window at a random place, not declared as random: it may stand in any list.

    Args:
        turn: up to so many degrees.
        scale: the smallest side of the window, as a share of the image's.
    """

    def __init__(self, *, turn: PositiveFloat = 45.0, scale: Fraction = 0.5) -> None:
        self.turn = turn
        self.scale = scale

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        count = len(images)
        angle = torch.deg2rad((2 * torch.rand(count) - 1) * self.turn)
        side = self.scale + 0.3 * torch.rand(count)
        shift = (2 * torch.rand(2, count) - 1) * (1 - side)
        cos, sin = side * angle.cos(), side * angle.sin()
        rows = [torch.stack([cos, -sin, shift[0]], 1), torch.stack([sin, cos, shift[1]], 1)]
        theta = torch.stack(rows, 1).to(images.device)
        grid = F.affine_grid(theta, list(images.shape), align_corners=False)
        return F.grid_sample(_pixels(images), grid, align_corners=False)


@transform("elastic", random=True)
class Elastic(_SameSize):
    """Move each pixel by a smooth random field.

    Args:
        alpha: the field's strength, in pixels before it is smoothed.
        sigma: the smoothing, in pixels.
    """

    def __init__(self, *, alpha: PositiveFloat = 4.0, sigma: PositiveFloat = 2.0) -> None:
        self.alpha = alpha
        self.sigma = sigma

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        count, _, height, width = images.shape
        drawn = torch.rand(count, 2, height, width, generator=generator, device=images.device)
        field = self.alpha * _blurred(2 * drawn - 1, self.sigma)
        unmoved = torch.eye(2, 3, device=images.device).expand(count, 2, 3)
        grid = F.affine_grid(unmoved, list(images.shape), align_corners=False)
        far = 2 * field / torch.tensor([width, height], device=images.device)[None, :, None, None]
        moved = grid + far.permute(0, 2, 3, 1)
        return F.grid_sample(_pixels(images), moved, align_corners=False)


@transform("gaussian_blur", random=True)
class GaussianBlur(_SameSize):
    """Blur each batch, by a little more or less.

    Args:
        sigma: in pixels.
    """

    def __init__(self, *, sigma: PositiveFloat = 1.0) -> None:
        self.sigma = sigma

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` to float32 from 0 to 1."""
        factor = torch.rand(1, generator=generator, device=generator.device).item()
        return _blurred(_pixels(images), self.sigma * (0.8 + 0.4 * factor))


def _blurred(images: Tensor, sigma: float) -> Tensor:
    channels, reach = images.shape[1], max(round(2.5 * sigma), 1)
    steps = torch.arange(-reach, reach + 1, device=images.device)
    bell = torch.exp(-0.5 * (steps / sigma).square())
    bell = (bell / bell.sum()).expand(channels, 1, 1, -1)
    rows = F.pad(images, (reach, reach, 0, 0), mode="replicate")
    rows = F.conv2d(rows, bell, groups=channels)
    columns = F.pad(rows, (0, 0, reach, reach), mode="replicate")
    return F.conv2d(columns, bell.transpose(2, 3), groups=channels)
