"""`cnntrain.load`: a run opened from Python, with the process left as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import cnntrain
from cnntrain.core.errors import UsageError
from cnntrain.fit.fit import Outcome


@pytest.fixture
def run(run_file: Callable[..., Path], train_tiny: Callable[..., Outcome], tmp_path: Path) -> Path:
    changes = {"train.epochs": 2, "compute.threads": torch.get_num_threads() + 1}
    return train_tiny(run_file(changes), out=tmp_path / "run").run.path


def test_threads_and_random_states_stay(run: Path) -> None:
    torch.set_num_threads(1)
    before = torch.get_rng_state()
    model = cnntrain.load(run)
    assert model.evaluate("test").metrics.images == 30
    assert torch.get_num_threads() == 1
    assert torch.equal(torch.get_rng_state(), before)


def test_a_checkpoint_and_changes(run: Path) -> None:
    best = cnntrain.load(str(run))
    last = cnntrain.load(run / "checkpoints" / "last.pt", overrides={"compute.device": "cpu"})
    assert last.epoch == 2
    assert best.is_best
    with pytest.raises(UsageError, match=r"-s train\.epochs cannot change"):
        cnntrain.load(run, overrides={"train.epochs": 3})
