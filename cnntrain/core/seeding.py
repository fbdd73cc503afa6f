"""Seeds as pure functions of what they are for, so that a resumed run draws the same numbers."""

from __future__ import annotations

import zlib

_MASK = (1 << 64) - 1


def derive_seed(seed: int, *parts: int | str) -> int:
    """A 63-bit seed for one purpose, the same on every platform.

    `derive_seed(seed, "augment", epoch, batch)` differs from every other purpose's seed with
    overwhelming probability: each part goes through SplitMix64 (Steele, Lea, Flood 2014).

    Args:
        seed: the run's seed.
        parts: what the seed is for: words (hashed by CRC-32) and counters.
    """
    state = _mix(seed & _MASK)
    for part in parts:
        number = zlib.crc32(part.encode()) + (1 << 40) if isinstance(part, str) else part
        # mixed once more than the part: otherwise (a, b) and (b, a) would give the same seed
        state = _mix(_mix(state) ^ _mix(number & _MASK))
    return state >> 1


def _mix(value: int) -> int:
    value = (value + 0x9E3779B97F4A7C15) & _MASK
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)
