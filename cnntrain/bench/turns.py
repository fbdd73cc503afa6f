"""Ways to do the same job take turns, so that whatever else the machine does meets all of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter

Turn = Callable[[], float]
"""Does some work, and returns the seconds per image of the part of it that counts."""

LEAST, MOST = 3, 15
"""Rounds."""


@dataclass(frozen=True)
class Spread:
    """Of values of one kind: the median and the quartiles."""

    median: float
    low: float
    high: float

    @staticmethod
    def of(values: Sequence[float]) -> Spread:
        """One value or more."""
        if len(values) == 1:
            return Spread(values[0], values[0], values[0])
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return Spread(middle, low, high)

    @staticmethod
    def of_rates(seconds: Sequence[float]) -> Spread:
        """Images per second, from seconds per image."""
        return Spread.of([1 / each for each in seconds])


def in_turns(
    ways: Mapping[str, Turn], *, seconds: float, clock: Callable[[], float] = perf_counter
) -> dict[str, list[float]]:
    """Call each way once in each round, every second round in the reverse order.

    Args:
        ways: by name.
        seconds: after which no round begins; but three are done.
        clock: seconds.

    Returns:
        What each way returned, round by round.
    """
    found: dict[str, list[float]] = {name: [] for name in ways}
    began, rounds = clock(), 0
    while rounds < LEAST or (rounds < MOST and clock() - began < seconds):
        order = list(ways.items())
        for name, turn in reversed(order) if rounds % 2 else order:
            found[name].append(turn())
        rounds += 1
    return found


def gain(base: Sequence[float], other: Sequence[float]) -> Spread:
    """How many times as fast the other way is, from pairs of turns side by side."""
    return Spread.of([before / after for before, after in zip(base, other, strict=True)])
