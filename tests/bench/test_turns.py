"""Turns: their order, when they end, and what their ratios are."""

from __future__ import annotations

import statistics

import pytest
import torch

from cnntrain.bench.changes import Change
from cnntrain.bench.measured import Effect, is_faster
from cnntrain.bench.measuring import best_of_each
from cnntrain.bench.peak import measure_peak
from cnntrain.bench.turns import Spread, gain, in_turns


def test_every_second_round_is_the_other_way_about() -> None:
    calls: list[str] = []
    now = iter(range(100))

    def way(name: str) -> float:
        calls.append(name)
        return float(len(calls))

    found = in_turns(
        {"a": lambda: way("a"), "b": lambda: way("b")}, seconds=4.5, clock=lambda: next(now)
    )
    # one second passes at each look at the clock: none in the first three rounds, then at 1, ...
    assert calls[:6] == ["a", "b", "b", "a", "a", "b"]
    assert len(found["a"]) == len(found["b"]) == 7
    assert found["a"][:3] == [1, 4, 5]


def test_three_rounds_are_made_and_fifteen_at_the_most() -> None:
    assert len(in_turns({"a": lambda: 1.0}, seconds=0)["a"]) == 3
    assert len(in_turns({"a": lambda: 1.0}, seconds=1e9)["a"]) == 15


def test_a_gain_is_of_turns_side_by_side() -> None:
    """A machine that is half as fast in the second half changes no ratio."""
    base, other = [1.0, 1.0, 2.0, 2.0], [0.5, 0.5, 1.0, 1.0]
    assert gain(base, other) == Spread(2, 2, 2)
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    found = Spread.of(values)
    assert found.median == statistics.median(values)
    assert (found.low, found.high) == (2, 4)
    assert Spread.of_rates([0.5]) == Spread(2, 2, 2)


def test_the_peak_is_work_over_time() -> None:
    """Two operations for each multiply-add of 1024 x 1024 matrices; 64 MiB read and written."""
    now = iter(range(0, 1000, 2))
    found = measure_peak(torch.device("cpu"), clock=lambda: next(now))
    assert found.products == 2 * 1024**3 / 2
    assert found.copies == 2 * 4 * 16 * 2**20 / 2


@pytest.mark.parametrize(
    ("key", "gain", "expected"),
    [
        ("data.workers", Spread(1.3, 1.2, 1.4), True),
        ("data.workers", Spread(1.3, 0.9, 1.4), False),  # by chance, perhaps
        ("data.workers", Spread(1.03, 1.03, 1.03), False),
        ("data.batch_size", Spread(1.3, 1.2, 1.4), False),  # another training
        ("compute.precision", None, False),
    ],
)
def test_what_is_worth_it(key: str, gain: Spread | None, expected: bool) -> None:
    assert Effect(Change(key, 1), gain).is_worth_it == expected


def test_the_best_value_of_each_key() -> None:
    effects = [
        Effect(Change("data.workers", number), Spread(speed, speed, speed))
        for number, speed in ((0, 0.8), (1, 1.2), (2, 1.4), (4, 1.3))
    ]
    effects.append(Effect(Change("compute.channels_last", True), Spread(1.1, 1.1, 1.1)))
    assert best_of_each(effects) == (
        Change("data.workers", 2),
        Change("compute.channels_last", True),
    )
    assert str(Change("compute.channels_last", True)) == "compute.channels_last=true"


def test_what_may_be_slower_together_is_not_recommended() -> None:
    assert is_faster(Spread(1.03, 1.01, 1.1))
    assert not is_faster(Spread(1.3, 0.99, 1.5))
    assert not is_faster(Spread(1.01, 1.005, 1.02))
