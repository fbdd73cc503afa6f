"""Run files that start from weights, at the command line; the weights themselves are not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cnntrain = Callable[..., Any]
TORCHVISION = {
    "arch": "archs/resnet18.yaml",
    "data": {"name": "image_folder", "root": "nowhere"},
    "finetune": {"weights": {"torchvision": "resnet18/IMAGENET1K_V1"}, "freeze": ["conv1"]},
}


@pytest.fixture(autouse=True)
def _no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))


def test_what_needs_no_weights(cnntrain: Cnntrain, run_file: Callable[..., Path]) -> None:
    file = run_file(TORCHVISION)
    answer = cnntrain("check", file)
    assert (answer.code, "which are not there (11,181,642 parameters" in answer.out) == (3, True)
    assert "there is no folder" in answer.err
    assert " (10 classes assumed until the images are there)" in answer.out
    assert "assumed" not in cnntrain("check", "lenet5").out
    answer = cnntrain("summary", file, "--depth", "1")
    assert answer.code == 0
    assert answer.out.splitlines()[2].split() == ["input", "3x224x224"]
    answer = cnntrain("show", file)
    assert answer.code == 0
    lines = [line.split() for line in answer.out.splitlines()]
    assert ["mean:", "[0.485,", "0.456,", "0.406]", "#", "the", "weights"] in lines
    assert ["size:", "224", "#", "the", "weights"] in lines


def test_a_map_of_names_is_checked(cnntrain: Cnntrain, run_file: Callable[..., Path]) -> None:
    weights = {"file": "weights.pth", "rename": {"conv1.*": "features.{n}.*"}}
    answer = cnntrain("check", run_file({"finetune": {"weights": weights}}))
    assert answer.code == 2
    assert "'{n}' is not in 'conv1.*'; both sides must have it" in answer.err


def test_a_file_without_training(cnntrain: Cnntrain, run_file: Callable[..., Path]) -> None:
    file = run_file({"train": None, "finetune": {"weights": {"file": "weights.pth"}}})
    assert cnntrain("check", file).code == 0
    answer = cnntrain("fit", file)
    assert answer.code == 2
    assert "there is no `train` section" in answer.err
    known = {"eval": [{"normalize": {"mean": [0.5], "std": [0.5]}}]}
    file = run_file({"finetune": {"weights": {"file": "weights.pth"}}, "data.transforms": known})
    answer = cnntrain("fit", file)
    assert answer.code == 4
    assert "weights.pth does not exist" in answer.err
    assert not Path("runs").exists()
