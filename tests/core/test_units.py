"""Quantities with their units."""

from __future__ import annotations

from cnntrain.core.units import byte_size


def test_bytes_in_words() -> None:
    sizes = {0: "0 B", 999: "999 B", 4704: "4.7 kB", 99_960: "100 kB", 999_600: "1.0 MB"}
    sizes |= {240_771_000: "241 MB", 12_300_000_000: "12.3 GB"}
    assert {size: byte_size(size) for size in sizes} == sizes
