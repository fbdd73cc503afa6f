"""Quantities with their units."""

from __future__ import annotations

from cnntrain.core.units import byte_size, short_count


def test_bytes_in_words() -> None:
    sizes = {0: "0 B", 999: "999 B", 4704: "4.7 kB", 99_960: "100 kB", 999_600: "1.0 MB"}
    sizes |= {240_771_000: "241 MB", 12_300_000_000: "12.3 GB"}
    assert {size: byte_size(size) for size in sizes} == sizes


def test_counts_in_short() -> None:
    counts = {0: "0", 850: "850", 7850: "7.8 k", 61_706: "61.7 k", 25_557_032: "25.6 M"}
    counts |= {138_357_544: "138 M", 4_089_184_256: "4.1 G"}
    assert {count: short_count(count) for count in counts} == counts
