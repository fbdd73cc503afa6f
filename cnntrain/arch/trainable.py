"""Which of a network's parameters learn, from when on and how fast; by row of its table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Learns:
    """How a parameter learns.

    Args:
        from_epoch: the epoch, from 1, from which on it does; None: it is frozen.
        lr_factor: of its learning rate.
    """

    from_epoch: int | None = 1
    lr_factor: float = 1.0


@dataclass(frozen=True)
class Share:
    """How many parameters learn in one way."""

    from_epoch: int | None
    lr_factor: float
    parameters: int


Learning = Mapping[str, tuple[int, Learns]]
"""By name of the parameter: its size, and how it learns."""


def shares(name: str, parameters: int, learning: Learning | None) -> tuple[Share, ...]:
    """The ways in which a layer's parameters learn, those that learn first at first.

    Args:
        name: of the layer.
        parameters: how many it has.
        learning: of the whole network; None: all of it learns alike.
    """
    if learning is None:
        return (Share(1, 1.0, parameters),) if parameters else ()
    counts: Counter[Learns] = Counter()
    for inside, (size, learns) in learning.items():
        if inside.startswith(f"{name}."):
            counts[learns] += size
    return _sorted(counts)


def joined(several: Iterable[tuple[Share, ...]]) -> tuple[Share, ...]:
    """The shares of several layers together."""
    counts: Counter[Learns] = Counter()
    for each in several:
        for share in each:
            counts[Learns(share.from_epoch, share.lr_factor)] += share.parameters
    return _sorted(counts)


def standing_still(found: Iterable[Share]) -> int:
    """How many parameters are frozen in the first epoch."""
    return sum(share.parameters for share in found if share.from_epoch != 1)


def words(found: tuple[Share, ...]) -> str:
    """`yes`, `no`, `from 3`, `x 0.1`, `from 3, x 0.1`; `in part` where that differs inside."""
    if not found:
        return ""
    epochs = {share.from_epoch for share in found}
    if len(epochs) > 1:
        return "in part"
    [epoch] = epochs
    if epoch is None:
        return "no"
    factors = sorted({share.lr_factor for share in found})
    rate = "-".join(f"{factor:.3g}" for factor in dict.fromkeys((factors[0], factors[-1])))
    parts = [f"from {epoch}"] if epoch > 1 else []
    parts += [f"x {rate}"] if factors != [1.0] else []
    return ", ".join(parts) or "yes"


def _sorted(counts: Mapping[Learns, int]) -> tuple[Share, ...]:
    found = [Share(way.from_epoch, way.lr_factor, count) for way, count in counts.items()]
    return tuple(sorted(found, key=lambda s: (s.from_epoch or float("inf"), -s.lr_factor)))
