"""Quantities with their units."""

from __future__ import annotations


def byte_size(count: float) -> str:
    """A number of bytes with three digits or so: `12 B`, `4.7 kB`, `157 MB`, `1.2 GB`."""
    value, unit = float(count), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
