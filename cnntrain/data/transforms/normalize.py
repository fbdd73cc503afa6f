"""Centre and scale the pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.kinds import Floats
from cnntrain.data import transform
from cnntrain.data.transform_parts import SameSize

_AT_ONCE = 1 << 17
"""Values that a CPU converts at once: 512 kB as float32."""


@transform("normalize", scales=True)
class Normalize(SameSize):
    """`(pixel - mean) / std` per channel, with pixels from 0 to 1.

    From uint8 it is one multiplication and one addition, `pixel * 1/(255 std) - mean/std`.

    Args:
        mean: one number per channel; the training images' where it is not given.
        std: one number per channel; the training images' where it is not given.
    """

    def __init__(self, *, mean: Floats | None = None, std: Floats | None = None) -> None:
        if (mean is None) != (std is None):
            raise ValueError("normalize needs both mean and std, or neither")
        if std is not None and min(std, default=0) <= 0:
            raise ValueError(
                f"std must be positive in every channel, not {list(std)} "
                "(0 means that the training images are one flat colour, or that 16-bit files hold "
                "fewer bits: see data.bits)"
            )
        if mean is not None and std is not None and len(mean) != len(std):
            raise ValueError(f"normalize got {len(mean)} means and {len(std)} stds")
        self.mean = mean
        self.std = std
        self._constants: dict[tuple[torch.device, bool], tuple[Tensor, Tensor]] = {}

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """`(N, C, H, W)` uint8, or float from 0 to 1, to float32 in the same memory format."""
        scale, shift = self._on(images)
        is_channels_last = images.is_contiguous(memory_format=torch.channels_last)
        if images.device.type != "cpu" or images.is_contiguous() or not is_channels_last:
            return _scaled(images, scale, shift)
        # channels last: a row of pixels at a time, since on a CPU broadcasting over so short a last
        # axis is six times as slow
        count, channels, height, width = images.shape
        rows = images.permute(0, 2, 3, 1).reshape(count, height, width * channels)
        result = _scaled(rows, scale.flatten().repeat(width), shift.flatten().repeat(width))
        return result.view(count, height, width, channels).permute(0, 3, 1, 2)

    def _on(self, images: Tensor) -> tuple[Tensor, Tensor]:
        key = (images.device, images.is_floating_point())
        if key not in self._constants:
            if self.mean is None or self.std is None:
                raise ValueError("normalize has no mean and std: take them from the training set")
            if len(self.mean) != images.shape[1]:
                raise ValueError(
                    f"normalize has {len(self.mean)} mean(s) for {images.shape[1]} channel(s)"
                )
            full = 1.0 if images.is_floating_point() else 255.0
            scale = [1 / (full * std) for std in self.std]
            shift = [-mean / std for mean, std in zip(self.mean, self.std, strict=True)]
            pair = [torch.tensor(v, dtype=torch.float32).view(1, -1, 1, 1) for v in (scale, shift)]
            self._constants[key] = (pair[0].to(images.device), pair[1].to(images.device))
        return self._constants[key]


def _scaled(images: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """`images * scale + shift`; on a CPU a few images at a time, which stay in its cache."""
    if images.device.type != "cpu" or images.is_floating_point():
        return (images * scale).add_(shift)
    result = torch.empty(images.shape)
    at_once = max(1, _AT_ONCE // max(1, images[0].numel())) if len(images) else 1
    for some, into in zip(torch.split(images, at_once), torch.split(result, at_once), strict=True):
        into.copy_(some).mul_(scale).add_(shift)
    return result
