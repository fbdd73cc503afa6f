"""The catalogue of planted kinds: each a function that spoils a healthy run file."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from planting.healthy import Base

from cnntrain.diagnose.faults import MEASURED

Plant = Callable[[Base, random.Random], str]


@dataclass(frozen=True)
class Kind:
    """One way to go wrong.

    Args:
        name: unique.
        group: data, split, augmentation, recipe, network or layer.
        codes: the faults of which any one names it; none where the doctor has no word for it, so
            that it is missed whatever is said.
        plant: changes a copy of the run file, and says what it did; nothing if it does not apply.
        lot: those after the first were written by somebody who did not know the checks. The last
            lot is held out: once its figure is published it may be tuned on, and another one is
            written.
        clue: what a finding of `MEASURED`, which says no more than that something holds the network
            back, must name to be right: a pattern that its headline matches.
    """

    name: str
    group: str
    codes: tuple[str, ...]
    plant: Plant
    lot: int = 1
    clue: str = ""

    def __reduce__(self) -> tuple[Callable[[str], Kind], tuple[str]]:
        """Another process looks it up: what decides where a kind applies cannot be sent."""
        return _kind_called, (self.name,)

    def is_named_by(self, code: str, headline: str) -> bool:
        """Whether a finding says what was planted."""
        if code in MEASURED:
            return bool(self.clue) and re.search(self.clue, headline) is not None
        return code in self.codes


KINDS: dict[str, Kind] = {}


def _kind_called(name: str) -> Kind:
    return KINDS[name]


def kind(group: str, *codes: str, lot: int = 1, clue: str = "") -> Callable[[Plant], Plant]:
    """Register a function under its name."""

    def register(plant: Plant) -> Plant:
        assert plant.__name__ not in KINDS
        KINDS[plant.__name__] = Kind(plant.__name__, group, codes, plant, lot, clue)
        return plant

    return register
