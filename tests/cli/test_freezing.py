"""From one folder of images to another at the command line: trained, frozen, probed, used."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from cnntrain.checkpoint import load as load_checkpoint

Cnntrain = Callable[..., Any]
COLORS = {"red": (200, 30, 30), "green": (30, 200, 30), "blue": (30, 30, 200)}
SIZED = [{"resize": {"size": [8, 8]}}, {"normalize": {"mean": [0.5] * 3, "std": [0.5] * 3}}]
FROZEN = 4 * 3 * 9 + 4 + 2 * 4
HEAD = 4 * 16 * 2 + 2


@pytest.fixture
def tuned(cnntrain: Cnntrain, run_file: Callable[..., Path], tmp_path: Path) -> Path:
    """A run file for two classes that starts from a run over three."""
    for name, classes in (("three", list(COLORS)), ("two", ["red", "blue"])):
        for split, count in (("train", 8), ("val", 3)):
            for color in classes:
                folder = tmp_path / name / split / color
                folder.mkdir(parents=True)
                for index in range(count):
                    shade = tuple(value + 3 * index for value in COLORS[color])
                    Image.new("RGB", (12, 10), shade).save(folder / f"{index}.png")

    def data(root: str) -> dict[str, Any]:
        return {
            "name": "image_folder",
            "root": root,
            "batch_size": 4,
            "transforms": {"eval": SIZED},
        }

    first = data("three")
    first["transforms"] |= {"train": SIZED}
    answer = cnntrain("fit", run_file({"data": first, "train.epochs": 2}, name="first"), "-q")
    assert answer.code == 0, answer.err
    section = {"weights": {"run": "runs/first"}, "freeze": ["conv1", "batch_norm1"]}
    changes = {"data": data("two"), "finetune": section, "train.epochs": 2}
    return run_file(changes, name="second")


def weights(run: Path) -> dict[str, Tensor]:
    state = load_checkpoint(run / "checkpoints" / "best.pt")["model"]
    assert isinstance(state, dict)
    return state


def test_fit_then_use(cnntrain: Cnntrain, tuned: Path, tmp_path: Path) -> None:
    summary = json.loads(cnntrain("summary", tuned, "--json").out)
    assert summary["frozen_parameters"] == FROZEN
    lines = cnntrain("summary", tuned).out.splitlines()
    marks = {line.split()[0]: line.split()[-1] for line in lines if line}
    assert [marks[name] for name in ("conv1", "batch_norm1", "output")] == ["no", "no", "yes"]

    answer = cnntrain("fit", tuned, "--out", "run")
    assert answer.code == 0, answer.err
    assert f"{FROZEN} of {FROZEN + HEAD} weights are frozen" in answer.err
    before, after = weights(tmp_path / "runs" / "first" / "latest"), weights(tmp_path / "run")
    same = {name for name, value in after.items() if torch.equal(value, before[name])}
    assert same == {name for name in after if not name.startswith("output")}

    assert cnntrain("eval", "run").code == 0
    answer = cnntrain("predict", "run", "two/val/red/0.png")
    assert answer.code == 0
    assert "red" in answer.out


def test_probe_then_use(cnntrain: Cnntrain, tuned: Path, tmp_path: Path) -> None:
    words = ("-s", "finetune.probe=true", "-s", "finetune.freeze=[]", "--out", "run")
    answer = cnntrain("fit", tuned, *words)
    assert answer.code == 0, answer.err
    assert "64 features of each of 16 training and 6 validation images were computed" in answer.err
    before, after = weights(tmp_path / "runs" / "first" / "latest"), weights(tmp_path / "run")
    same = {name for name, value in after.items() if torch.equal(value, before[name])}
    assert same == {name for name in after if not name.startswith("output")}
    assert cnntrain("eval", "run").code == 0


def test_a_misspelt_layer_is_told_without_data(cnntrain: Cnntrain, tuned: Path) -> None:
    number = next(i for i, t in enumerate(tuned.read_text().splitlines(), 1) if "- conv1" in t)
    tuned.write_text(tuned.read_text().replace("- conv1", "- convl"))
    answer = cnntrain("check", tuned)
    assert answer.code == 2
    assert f"{tuned}:{number}:5: 'convl' matches no layer; did you mean 'conv1'?" in answer.err
