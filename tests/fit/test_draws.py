"""Plugins that draw from the process's own generators: the same run twice, resumed or not."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import cnntrain
from cnntrain.data.global_draws import drawing_from
from cnntrain.fit.fit import Outcome

Train = Callable[..., Outcome]
Differences = Callable[[Path, Path], list[str]]
RunFile = Callable[..., Path]

PLUGIN = """
import random
import numpy as np
import torch
from cnntrain.data import transform

class Careless:
    def __call__(self, images, generator):
        del generator
        factor = 1 + random.random() + np.random.rand() + float(torch.rand(()))
        return images * factor

    def output_size(self, size):
        return size

@transform("careless", random=True)
class OfABatch(Careless):
    \"\"\"Draws once for a batch.\"\"\"

@transform("careless_by_image", random=True, by_image=True)
class OfAnImage(Careless):
    \"\"\"Draws for each image.\"\"\"
"""
FOLDER = {
    "plugins": ["careless.py"],
    "train.epochs": 2,
    "data": {
        "name": "image_folder",
        "root": "images",
        "batch_size": 8,
        "transforms": {
            "train": [{"resize": {"size": [8, 8]}}, "careless_by_image", "careless", "normalize"],
            "eval": [{"resize": {"size": [8, 8]}}, "normalize"],
        },
    },
}


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, image_folder: Path) -> None:
    """The plugin, beside the images."""
    (tmp_path / "careless.py").write_text(PLUGIN)


def draw_elsewhere() -> None:
    """What another process would have behind it."""
    random.seed()
    np.random.seed()


@pytest.mark.parametrize("memory", ["resident", "stream"])
def test_twice_and_resumed_it_is_the_same_run(
    run_file: RunFile, train_tiny: Train, differences: Differences, tmp_path: Path, memory: str
) -> None:
    file = run_file({**FOLDER, "data.memory": memory})
    runs = [tmp_path / name for name in ("whole", "again", "parts")]
    for run in runs:
        draw_elsewhere()
        train_tiny(file, out=run, stop=2 if run.name == "parts" else None)
    draw_elsewhere()
    train_tiny(resumed=runs[2])
    for run in runs[1:]:
        assert differences(runs[0] / "checkpoints/last.pt", run / "checkpoints/last.pt") == []


@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker")
def test_with_any_number_of_workers_it_is_the_same_run(
    run_file: RunFile, train_tiny: Train, differences: Differences, tmp_path: Path
) -> None:
    deterministic = {"compute.deterministic": True, "data.memory": "stream"}
    for workers in (0, 1, 2, 4):
        draw_elsewhere()
        file = run_file({**FOLDER, **deterministic, "data.workers": workers})
        train_tiny(file, out=tmp_path / str(workers))
        ours, first = (tmp_path / name / "checkpoints/last.pt" for name in (str(workers), "0"))
        assert set(differences(ours, first)) <= {"config"}  # which says workers


def test_the_caller_draws_what_it_would_have_drawn(run_file: RunFile, tmp_path: Path) -> None:
    file = run_file({**FOLDER, "data.workers": 0, "train.epochs": 1})
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    expected = (random.random(), np.random.rand(), float(torch.rand(())))
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    cnntrain.fit(file, out=tmp_path / "run", quiet=True)
    assert (random.random(), np.random.rand(), float(torch.rand(()))) == expected


def test_numbers_within_follow_from_the_seed_alone() -> None:
    def drawn(seed: int) -> tuple[float, float, float]:
        with drawing_from(seed):
            return random.random(), float(np.random.rand()), float(torch.rand(()))

    first = drawn(2**62)
    draw_elsewhere()
    assert drawn(2**62) == first
    assert drawn(1) != first
