"""All generators go on where they were, also through a file."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from cnntrain.checkpoint import capture_randomness, load, restore_randomness, save
from cnntrain.core.errors import CheckpointError


def draw() -> list[float]:
    numbers = [random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn()]
    return [*map(float, numbers), float(torch.rand(())), float(torch.randn(()))]


def test_round_trip_through_a_file(tmp_path: Path) -> None:
    draw()  # leaves a spare gaussian in `random` and numpy, which is part of the state
    save(tmp_path / "r.pt", capture_randomness())
    expected = [draw(), draw()]
    draw()
    restore_randomness(load(tmp_path / "r.pt"))
    assert [draw(), draw()] == expected


def test_capturing_draws_nothing() -> None:
    before = torch.get_rng_state()
    state = random.getstate()
    capture_randomness()
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == state


def test_another_state_is_refused() -> None:
    with pytest.raises(CheckpointError, match="part 'random' is damaged"):
        restore_randomness({})
