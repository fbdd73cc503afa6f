"""How many training images are held out for validation: plain values, without torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Fold:
    """One of `of` parts of equal size, counted from 1: cross-validation's."""

    number: int
    of: int


HeldOut = float | int | Fold | None
"""A fraction (below 1), a count of images, a fold, or none."""
