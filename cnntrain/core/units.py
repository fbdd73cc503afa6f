"""Quantities with their units."""

from __future__ import annotations

from collections.abc import Sequence


def byte_size(count: float) -> str:
    """A number of bytes with three digits or so: `12 B`, `4.7 kB`, `157 MB`, `1.2 GB`."""
    return _scaled(count, ("B", "kB", "MB", "GB", "TB"))


def short_count(count: float) -> str:
    """A large number with three digits or so: `850`, `61.7 k`, `25.6 M`, `1.1 G`."""
    return _scaled(count, ("", "k", "M", "G", "T"))


def _scaled(count: float, units: Sequence[str]) -> str:
    value, unit = float(count), units[0]
    for larger in units[1:]:
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    digits = 0 if unit == units[0] or value >= 99.95 else 1
    return f"{value:.{digits}f} {unit}".rstrip()
