"""The whole of `cnntrain fit`, and rivals that take their turns between its steps."""

from __future__ import annotations

import contextlib
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benching.turns import Clock, Seconds, now
from cnntrain.config.loaded import Loaded
from cnntrain.fit.fit import fit
from cnntrain.record.observe import Observer, Record
from cnntrain.train import EpochDone, RunStarted, StepDone

WARM_UP = 2
"""Turns that are not counted: caches fill, memory is taken, kernels are chosen."""


class _Enough(Exception):  # noqa: N818  # no error: it ends a training that has served
    """Raised by the referee within `fit`."""


@dataclass(frozen=True)
class Rival:
    """One way to train: a call does as many steps of the job's batch size."""

    run: Callable[[], object]
    steps: int


def repeated(step: Callable[[], object], steps: int) -> Rival:
    """A rival whose turn is so many calls."""

    def run() -> None:
        for _ in range(steps):
            step()

    return Rival(run, steps)


@dataclass
class Referee(Observer):
    """An observer of the run that lets the rivals take their turns between its steps.

    Args:
        rivals: by name.
        turn: cnntrain's steps in a turn.
        wanted: turns that are to be measured, besides those of the warm-up.
        taken: the seconds of a step of each way, turn by turn; cnntrain is `"cnntrain"`.
        ends: the seconds from the last step of an epoch to the first of the next.
    """

    rivals: Mapping[str, Rival]
    turn: int
    wanted: int
    taken: list[dict[str, Seconds]] = field(default_factory=list)
    ends: list[Seconds] = field(default_factory=list)
    steps_per_epoch: int = 0
    _steps: int = -1  # the very first step, which warms up, belongs to no turn
    _epoch_ended: bool = False

    def __post_init__(self) -> None:
        self._began = self._last = now()

    def observe(self, event: Record) -> None:
        """Count the step; after a turn of them, let the others do theirs."""
        if isinstance(event, RunStarted):
            self.steps_per_epoch = event.steps_per_epoch
        elif isinstance(event, EpochDone):
            self._epoch_ended = True
        elif isinstance(event, StepDone):
            self._steps += 1
            if self._epoch_ended:
                self.ends.append(now().since(self._last))
                self._begin()
            elif self._steps == 0:
                self._begin()
            elif self._steps == self.turn:
                self._take_turns()
            self._last = now()

    def _begin(self) -> None:
        self._steps, self._epoch_ended, self._began = 0, False, now()

    def _take_turns(self) -> None:
        turn = {"cnntrain": now().since(self._began).over(self.turn)}
        order = list(self.rivals.items())
        for name, rival in order if len(self.taken) % 2 else reversed(order):
            began = now()
            rival.run()
            turn[name] = now().since(began).over(rival.steps)
        self.taken.append(turn)
        if len(self.taken) >= self.wanted + WARM_UP and self.ends:
            raise _Enough
        self._begin()


@dataclass(frozen=True)
class Taken:
    """Seconds of a step of each way, turn by turn; cnntrain's with its share of the epoch's end.

    Args:
        steps: by way.
        end: of an epoch, all of it.
        batch: images in a step.
    """

    steps: Mapping[str, list[Seconds]]
    end: Seconds
    batch: int

    def ratios(self, rival: str, *, clock: Clock = "cpu") -> list[float]:
        """The rival's time over ours."""
        pairs = zip(self.steps[rival], self.steps["cnntrain"], strict=True)
        return [getattr(theirs, clock) / getattr(ours, clock) for theirs, ours in pairs]

    def faster(self, way: str, *, than: str) -> float:
        """How many times as fast one way is than another, by CPU time."""
        pairs = zip(self.steps[way], self.steps[than], strict=True)
        return statistics.median(theirs.cpu / ours.cpu for ours, theirs in pairs)

    def over(self, rival: str) -> list[float]:
        """Microseconds of CPU that a step of ours takes longer than the rival's."""
        pairs = zip(self.steps[rival], self.steps["cnntrain"], strict=True)
        return [1e6 * (ours.cpu - theirs.cpu) for theirs, ours in pairs]

    def rate(self, way: str) -> str:
        """Images per CPU second, in words."""
        return in_words(self.batch / statistics.median(each.cpu for each in self.steps[way]))


def in_words(rate: float) -> str:
    """So many images per CPU second."""
    return f"{rate:,.0f} images per CPU s" if rate >= 100 else f"{rate:.1f} images per CPU s"


def whole_fit(
    loaded: Loaded,
    *,
    rivals: Mapping[str, Rival],
    turn: int,
    turns: int,
    out: Path,
    steps_per_epoch: int | None = None,
) -> Taken:
    """Train in a run's folder, with all its records, until so many turns were taken.

    An epoch must have more than `turn` steps; those at its end that make no whole turn count for
    nothing. The end of an epoch is spread over its steps.

    Args:
        loaded: the run file; it should have more epochs than are needed.
        rivals: by name.
        turn: cnntrain's steps in a turn.
        turns: how many.
        out: the run's folder.
        steps_per_epoch: of the whole data set, where a part of it is trained on.
    """
    referee = Referee(rivals, turn=turn, wanted=turns)
    with contextlib.suppress(_Enough):
        fit(loaded, out=out, quiet=True, observers=[referee])
    taken = referee.taken[WARM_UP:]
    end = Seconds(
        statistics.median(each.wall for each in referee.ends),
        statistics.median(each.cpu for each in referee.ends),
    )
    share = end.over(steps_per_epoch or referee.steps_per_epoch)
    steps = {rival: [each[rival] for each in taken] for rival in rivals}
    ours = [each["cnntrain"] for each in taken]
    steps["cnntrain"] = [Seconds(s.wall + share.wall, s.cpu + share.cpu) for s in ours]
    return Taken(steps, end, loaded.config.data.batch_size)
