"""Which points are near enough to the true ones."""

from __future__ import annotations

import torch
from torch import Tensor


def near_points(given: Tensor, true: Tensor, *, share: float) -> Tensor:
    """`(N, P)` bool of points `(N, 2 P)`, x and y of each: those that PCK counts as right.

    Off by at most `share` times the larger side of the box around the image's true points. Yang,
    Ramanan, "Articulated Human Detection with Flexible Mixtures of Parts", 2013, section 6.
    """
    there, wanted = (torch.unflatten(each, 1, (-1, 2)) for each in (given, true))
    side = (wanted.amax(dim=1) - wanted.amin(dim=1)).amax(dim=1, keepdim=True)
    near: Tensor = (there - wanted).norm(dim=2) <= share * side
    return near
