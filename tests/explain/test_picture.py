"""A picture's function leaves the process as it was, and has the threads of the run file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import cnntrain
from cnntrain.explain.saliency import saliency_picture
from cnntrain.fit.fit import Outcome


@pytest.mark.usefixtures("own_place")
def test_it_runs_as_the_run_file_says(
    run_file: Callable[..., Path], train_tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    threads = torch.get_num_threads() + 1
    file = run_file({"train.epochs": 1, "compute.threads": threads})
    model = cnntrain.load(train_tiny(file, out=tmp_path / "run").run.path)
    torch.set_num_threads(1)
    state, seen = torch.get_rng_state(), []

    def draw(*_: object) -> None:
        seen.append(torch.get_num_threads())
        torch.rand(1)

    model.net.register_forward_pre_hook(draw)
    saliency_picture(model=model, images=["0"])
    assert set(seen) == {threads}
    assert torch.get_num_threads() == 1
    assert torch.equal(torch.get_rng_state(), state)
