"""Drawing set-ups with a seed, and splitting the kinds into those to tune on and those held out."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from planting import (
    fifth_data,
    fifth_network,
    fifth_recipe,
    fourth_data,
    fourth_network,
    fourth_recipe,
    in_data,
    in_network,
    in_recipe,
    second_data,
    second_network,
    second_recipe,
    sixth_data,
    sixth_network,
    sixth_recipe,
    third_data,
    third_network,
    third_recipe,
)
from planting.healthy import Base, base, unusual
from planting.kinds import KINDS, Kind

GROUPS = (
    *(in_data, in_recipe, in_network, second_data, second_recipe, second_network),
    *(third_data, third_recipe, third_network),
    *(fourth_data, fourth_recipe, fourth_network),
    *(fifth_data, fifth_recipe, fifth_network),
    *(sixth_data, sixth_recipe, sixth_network),
)
"""Importing them fills `KINDS`."""

TRIES = 50


@dataclass(frozen=True)
class Setup:
    """A drawn run file; `healthy` is the same without the fault. A healthy one has no `kind`."""

    name: str
    kind: Kind | None
    said: str
    base: Base
    healthy: Base


def held_out() -> frozenset[str]:
    """The kinds of the last lot, which no check was tuned on."""
    last = max(each.lot for each in KINDS.values())
    return frozenset(each.name for each in KINDS.values() if each.lot == last)


def broken(count: int, *, seed: int, kinds: Sequence[str], with_files: bool) -> list[Setup]:
    """So many set-ups, the kinds in turn, each in a healthy run file of its own."""
    found: list[Setup] = []
    order = list(kinds)
    random.Random(seed).shuffle(order)
    for number in range(count):
        kind = KINDS[order[number % len(order)]]
        for attempt in range(TRIES):
            drawn = random.Random(f"{seed} {number} {attempt}")
            whole = base(drawn, with_files=with_files)
            spoiled = whole.copy()
            if said := kind.plant(spoiled, drawn):
                name = f"{number:03}-{kind.name}-{whole.net}-{whole.data.short}"
                found.append(Setup(name, kind, said, spoiled, whole))
                break
    return found


def healthy(count: int, *, seed: int, with_files: bool) -> list[Setup]:
    """So many healthy ones, two of three with something unusual."""
    found = []
    for number in range(count):
        drawn = random.Random(f"healthy {seed} {number}")
        whole = base(drawn, with_files=with_files)
        changed, said = (whole, "as usual") if number % 3 == 0 else unusual(whole, drawn)
        name = f"{number:03}-healthy-{whole.net}-{whole.data.short}"
        found.append(Setup(name, None, said, changed, changed))
    return found
