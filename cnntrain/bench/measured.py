"""What a measurement of a run file's speed came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cnntrain.bench.changes import BATCH, Change
from cnntrain.bench.peak import Peak
from cnntrain.bench.turns import Spread
from cnntrain.config.loaded import Loaded

WORTH, MARGIN = 1.05, 1.02
"""A setting is recommended where it is this many times as fast, and its lower quartile, and all of
them together, this many times; the lower quartile of all together must be above 1."""


def is_faster(found: Spread) -> bool:
    """Whether all that is recommended is worth it together."""
    return found.median >= MARGIN and found.low > 1


@dataclass(frozen=True)
class Effect:
    """What a change came to: times the speed of the run file as it is; None: why it has no figure.

    Args:
        change: of the run file.
        gain: of a training step alone, or, of keys of `data` but the batch size, of steps with
            their images.
        note: what else is to be said of it.
    """

    change: Change
    gain: Spread | None
    note: str = ""

    @property
    def is_worth_it(self) -> bool:
        """Whether it is clearly faster and, as far as that can be, the same training."""
        found = self.gain
        is_same = self.change.key != BATCH
        return is_same and found is not None and found.median >= WORTH and found.low >= MARGIN


@dataclass(frozen=True)
class Bench:
    """What was measured; rates are images per second.

    Args:
        loaded: the run file, numbers found where it says `auto`.
        device: in words.
        timed: images in a step that was timed: the run's batch size, or fewer.
        rounds: of steps with other settings, and of the loader, the network and both.
        loader: nothing but batches.
        network: nothing but steps.
        whole: both.
        waiting: the share of that in which a batch was waited for.
        peak: the machine's.
        products: the share of its matrix products that the network alone reaches, with 6
            floating-point operations for each multiply-add of the plan.
        copies: the share of its copying: what training keeps is written and read once a step.
        memory: bytes, by what they are.
        effects: of changes of the run file.
        recommended: those to make.
        together: what all of them come to, for steps with their images.
    """

    loaded: Loaded
    device: str
    timed: int
    rounds: tuple[int, int]
    loader: Spread
    network: Spread
    whole: Spread
    waiting: float
    peak: Peak
    products: float
    copies: float
    memory: Mapping[str, int]
    effects: tuple[Effect, ...]
    recommended: tuple[Change, ...] = ()
    together: Spread | None = None
