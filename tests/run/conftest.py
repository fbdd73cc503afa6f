"""Tiny runs: a small network on made-up images, a few steps an epoch."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.config.load import load
from cnntrain.run.fit import Outcome, fit, resume
from cnntrain.train import StepDone

CLOCK = {"seconds", "data_seconds"}
"""What a checkpoint holds of the wall clock: the only things that may differ."""


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """Every test of this folder trains in a place of its own."""


class StopAt:
    """An observer that presses Ctrl-C at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def observe(self, event: object) -> None:
        if isinstance(event, StepDone) and event.step == self.step:
            signal.raise_signal(signal.SIGINT)

    def close(self) -> None:
        pass


@pytest.fixture
def train_tiny() -> Callable[..., Outcome]:
    """`train_tiny(file, out=..., stop=7)` trains; `train_tiny(resumed=folder)` goes on."""

    def start(
        file: Path | None = None,
        *,
        resumed: Path | None = None,
        out: Path | None = None,
        stop: int | None = None,
        overrides: Sequence[str] = (),
        quiet: bool = True,
    ) -> Outcome:
        observers = [] if stop is None else [StopAt(stop)]
        if resumed is not None:
            torch.manual_seed(99)  # another process would not be where this one is
            return resume(resumed, overrides=overrides, quiet=quiet, observers=observers)
        assert file is not None
        loaded = load(file, overrides)
        return fit(loaded, out=out, overrides=overrides, quiet=quiet, observers=observers)

    return start


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Every value of a checkpoint with its path, the clock's left out."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    elif path[-1] not in CLOCK:
        yield path, value


def same(first: Any, second: Any) -> bool:
    if isinstance(first, Tensor) and isinstance(second, Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    return type(first) is type(second) and first == second


@pytest.fixture
def differences() -> Callable[[Path, Path], list[str]]:
    """The paths of the values in which two checkpoint files differ, bit for bit."""

    def compare(first: Path, second: Path) -> list[str]:
        ours = dict(leaves(load_checkpoint(first)))
        theirs = dict(leaves(load_checkpoint(second)))
        assert any(isinstance(value, Tensor) for value in ours.values())
        different = [p for p in ours.keys() & theirs.keys() if not same(ours[p], theirs[p])]
        return sorted(".".join(map(str, p)) for p in [*different, *(ours.keys() ^ theirs.keys())])

    return compare
