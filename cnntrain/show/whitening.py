"""Whitening of images: one matrix over all values of an image; its numbers as a short text."""

from __future__ import annotations

import base64
import binascii
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Whitening:
    """`matrix @ (values - mean)`, with the values of an image in the order C, H, W.

    Args:
        mean: `(values,)` float64.
        matrix: `(values, values)` float64, symmetric.
    """

    mean: Tensor
    matrix: Tensor

    def as_text(self) -> str:
        """Mean, then rows of the upper triangle, as little-endian float32 numbers in base64."""
        rows, columns = torch.triu_indices(*self.matrix.shape)
        numbers = torch.cat([self.mean, self.matrix[rows, columns]]).numpy().astype("<f4")
        return base64.b64encode(numbers.tobytes()).decode("ascii")


def from_text(text: str) -> Whitening:
    """The whitening of a text.

    Raises:
        ValueError: it is not such a text.
    """
    try:
        numbers = np.frombuffer(base64.b64decode(text, validate=True), "<f4").astype(np.float64)
    except (binascii.Error, ValueError):
        numbers = np.zeros(0)
    size = (math.isqrt(9 + 8 * len(numbers)) - 3) // 2  # len = size + size (size + 1) / 2
    if size == 0 or size * (size + 3) // 2 != len(numbers) or not np.isfinite(numbers).all():
        raise ValueError("these are not the numbers of a whitening: leave `learnt` out")
    rows, columns = torch.triu_indices(size, size)
    matrix, given = torch.empty(size, size, dtype=torch.float64), torch.from_numpy(numbers)
    matrix[rows, columns] = matrix[columns, rows] = given[size:]
    return Whitening(given[:size], matrix)


def alike(text: str, other: str) -> bool:
    """Whether two whitenings differ by no more than the rounding of another machine."""
    one, two = from_text(text), from_text(other)
    return one.mean.shape == two.mean.shape and all(
        torch.allclose(a, b, rtol=1e-4, atol=1e-5 * float(a.abs().max()))
        for a, b in ((one.mean, two.mean), (one.matrix, two.matrix))
    )


def whitened(pixels: Tensor, text: str) -> Tensor:
    """Pixels `(N, C, H, W)` from 0 to 1, whitened, as float32.

    Raises:
        ValueError: the images have another number of values.
    """
    mean, matrix, _ = _constants(text, pixels.device)
    return ((_rows(pixels, mean) - mean) @ matrix).float().view(pixels.shape)


def restored(images: Tensor, text: str) -> Tensor:
    """The pixels of whitened images `(N, C, H, W)`, as float32; errors as of `whitened`."""
    mean, _, inverse = _constants(text, images.device)
    return (_rows(images, mean) @ inverse + mean).float().view(images.shape)


def _rows(images: Tensor, mean: Tensor) -> Tensor:
    if images.shape[1:].numel() != len(mean):
        size = " x ".join(map(str, images.shape[1:]))
        raise ValueError(f"it was learnt from images of {len(mean)} values, and here are {size}")
    return images.flatten(1).to(mean.dtype)


@lru_cache(maxsize=16)
def _constants(text: str, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Mean, matrix and its inverse on a device, copied there once; never to be changed.

    In float64, so that after rounding to float32 an image is the same in every batch; Apple's GPUs
    have float32 only.
    """
    found = from_text(text)
    kept = torch.float32 if device.type == "mps" else torch.float64
    each = (found.mean, found.matrix, torch.linalg.inv(found.matrix))
    mean, matrix, inverse = (numbers.to(kept).to(device) for numbers in each)
    return mean, matrix, inverse
