"""Windows with fixed weights that decrease from the centre, for the Neocognitron's cells."""

from __future__ import annotations

import torch
from torch import Tensor


def gaussian_window(kernel: tuple[int, int]) -> Tensor:
    """A Gaussian of standard deviation kernel / 4 along each axis, with sum 1: (height, width)."""
    rows, columns = (_profile(side) for side in kernel)
    return rows[:, None] * columns


def _profile(side: int) -> Tensor:
    distance = torch.arange(side) - (side - 1) / 2
    weights = torch.exp(-0.5 * (distance / (side / 4)) ** 2)
    return weights / weights.sum()
