"""Ways to do the same job take turns, so that whatever else the machine does meets all of them."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

Clock = Literal["cpu", "wall"]


@dataclass(frozen=True)
class Seconds:
    """Wall and CPU time; the CPU time is that of all threads, and of processes that have ended."""

    wall: float
    cpu: float

    def since(self, before: Seconds) -> Seconds:
        """The time from another moment to this one."""
        return Seconds(self.wall - before.wall, self.cpu - before.cpu)

    def over(self, count: float) -> Seconds:
        """A share of it."""
        return Seconds(self.wall / count, self.cpu / count)


def now() -> Seconds:
    """This moment."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = time.process_time() + children.ru_utime + children.ru_stime
    return Seconds(time.perf_counter(), cpu)


def seconds_of(do: Callable[[], object]) -> Seconds:
    """What a call takes."""
    began = now()
    do()
    return now().since(began)


def in_turns(
    ways: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 1
) -> dict[str, list[Seconds]]:
    """Call each way once in each round, every second round in the reverse order.

    Args:
        ways: each does the same amount of work in each call.
        rounds: that are measured.
        warm_up: rounds before them, which are not.
    """
    taken: dict[str, list[Seconds]] = {name: [] for name in ways}
    for number in range(-warm_up, rounds):
        order = list(ways.items())
        for name, do in order if number % 2 else reversed(order):
            seconds = seconds_of(do)
            if number >= 0:
                taken[name].append(seconds)
    return taken


def times_as_fast(
    ours: Sequence[Seconds], theirs: Sequence[Seconds], *, clock: Clock = "cpu"
) -> list[float]:
    """Their seconds over ours, round by round."""
    pairs = zip(ours, theirs, strict=True)
    return [getattr(their, clock) / getattr(our, clock) for our, their in pairs]
