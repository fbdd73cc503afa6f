"""Each task, through every command: from a run file to reports, files and pictures."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from cnntrain.cli.app import main
from cnntrain.core.choices import LOSSES, PICTURES, TASKS
from cnntrain.core.target_forms import fits, form_of
from cnntrain.model.opening import open_model

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
ORDINAL = PAGE.read_text("utf-8").partition("# ordinal.py\n")[2].partition("```")[0]

RunFile = Callable[..., Path]
Run = Callable[..., tuple[int, str, str]]

OF_TASKS: dict[str, dict[str, Any]] = {
    "classification": {},
    "regression": {"data.number_columns": ["x", "y"]},
    "multilabel": {"data.label_columns": ["left", "low", "bright"]},
    "reconstruction": {
        "data.transforms": {
            "train": [{"resize": {"size": [8, 8]}}, {"noise": {"std": 0.1}}, "zca"],
            "eval": [{"resize": {"size": [8, 8]}}, {"noise": {"std": 0.1}}, "zca"],
        },
        "arch": {
            "layers": [
                {"conv": {"out": 4, "kernel": 3, "padding": 1}},
                "batch_norm",
                "relu",
                {"conv": {"out": "$image_channels", "kernel": 3, "padding": 1}},
            ]
        },
    },
    "embedding": {
        "data.images_per_class": 2,
        "arch": {
            "layers": [
                {"conv": {"out": 4, "kernel": 3}},
                "batch_norm",
                "relu",
                "flatten",
                {"linear": {"out": 3}, "as": "output"},
            ]
        },
    },
    "multitask": {
        "task.heads": {
            "side": {"task": "classification", "weight": 0.7},
            "places": {"task": "regression", "loss": "huber", "names": ["y"]},
            "picture": {"task": "reconstruction", "loss": {"name": "mse"}, "weight": 0.1},
        },
        "data.label_column": "class",
        "data.number_columns": ["x", "y"],
        "arch": {
            "layers": [
                {"conv": {"out": 4, "kernel": 3}},
                "relu",
                "flatten",
                {"linear": {"out": 8}},
            ],
            "heads": {
                "side": {"from": "flatten1", "layers": [{"linear": {"out": "$num_classes"}}]},
                "places": {"from": "flatten1", "layers": [{"linear": {"out": "$num_classes"}}]},
                "picture": {
                    "layers": [{"linear": {"out": 64}}, {"unflatten": {"shape": [1, 8, 8]}}]
                },
            },
        },
    },
    "layer_reconstruction": {
        "arch": {
            "layers": [
                "flatten",
                {"linear": {"out": 6}},
                {"sigmoid": {}, "as": "code"},
                {"linear": {"out": 6}},
                {"sigmoid": {}, "as": "back"},
                {"with_target": {}, "from": ["back", "code"]},
            ]
        },
    },
}
"""Task -> what its run file has besides; a new one is swept once it stands here."""

OWN: dict[str, dict[str, Any]] = {
    "ordinal": {
        "plugins": ["ordinal.py"],
        "arch.layers": ["flatten", {"linear": {"out": "$num_classes - 1"}, "as": "output"}],
    }
}
"""The same for the task of docs/plugins.md, in a file of the user's."""

OF_IMAGES = ("reconstruction", "layer_reconstruction", "multitask")
"""Those whose target is, or may be, made of the image."""

SAID = {
    "classification": {"class", "probabilities"},
    "regression": {"numbers"},
    "multilabel": {"labels", "probabilities"},
    "reconstruction": {"shape", "mean"},
    "embedding": {"vector"},
    "ordinal": {"class", "probabilities"},
    "multitask": {"heads"},
    "layer_reconstruction": {"numbers"},
}
"""Task -> what `predict --json` says of an image."""

GIVEN: dict[str, tuple[str, list[int]]] = {
    "classification": ("logits", [2]),
    "regression": ("numbers", [2]),
    "multilabel": ("labels", [3]),
    "reconstruction": ("image", [1, 8, 8]),
    "embedding": ("vectors", [3]),
    "ordinal": ("logits", [1]),
    "multitask": ("heads", [67]),
    "layer_reconstruction": ("image", [2, 6]),
}
"""Task -> name and shape of what an exported network gives."""

ALONE = {**dict.fromkeys(OF_IMAGES, "images"), "embedding": "vectors"}
"""Task -> what its networks give, of which the mean over several says nothing."""

CHECKED = ("data", "connections", "initial", "gradients", "evaluation", "overfit", "units")
"""Checks of the doctor that take a second or less; none may find a fault here."""


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """Every test of this file runs in a place of its own."""


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """`run("eval", folder)`: exit code, stdout and stderr."""

    def call(*words: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        monkeypatch.setattr(sys, "argv", ["cnntrain", *map(str, words)])
        with pytest.raises(SystemExit) as end:
            main()
        out, err = capfd.readouterr()
        code = end.value.code
        return (0 if code is None else int(code)), out, err

    return call


@pytest.fixture
def task_file(run_file: RunFile, of_table: Mapping[str, Any]) -> RunFile:
    """`task_file("regression", {"train.epochs": 1})`: a run file of that task."""

    def write(task: str, changes: Mapping[str, Any] | None = None) -> Path:
        own = (OF_TASKS | OWN)[task]
        Path("ordinal.py").write_text(ORDINAL)
        return run_file({**deepcopy(of_table), "task.name": task, **own, **(changes or {})})

    return write


def test_nothing_is_left_out() -> None:
    assert set(OF_TASKS) == set(SAID) - set(OWN) == set(TASKS.names())


@pytest.mark.parametrize("task", OF_TASKS | OWN)
def test_every_command(task: str, task_file: RunFile, run: Run, tmp_path: Path) -> None:
    file, folder = task_file(task), tmp_path / "run"
    assert run("check", file)[0] == 0
    assert run("data", "check", file)[0] in (0, 3)
    assert run("data", "show", file, "--out", "sheet.png")[0] == 0
    code, _, err = run("fit", file, "--out", folder)
    assert code == 0, err
    assert "report.html is not written" not in err
    assert (folder / "report.html").stat().st_size > 5000
    whole = json.loads(run("eval", folder, "--json")[1])
    assert whole["images"] == 12
    code, out, err = run("eval", folder, "--confusion", "picture.png")
    if task in OWN:
        assert (code, "the task 'ordinal' draws no picture" in err) == (2, True)
    else:
        assert (code, "loss" in out) == (0, True), err
        assert Path("picture.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = run("eval", folder, folder, "--json")  # twice the same network
    together = json.loads(out) if code == 0 else {}
    if task in ALONE:
        what = f"networks that give {ALONE[task]} are evaluated one by one"
        assert (code, what in err) == (2, True)
    for name, value in whole.items():
        if isinstance(value, float) and task not in ALONE:
            assert together[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name
    _predicts(task, folder, run)
    code, _, err = run("export", folder, "--to", "safetensors", "--out", "net.safetensors")
    assert code == 0, err
    with safe_open("net.safetensors", "pt") as file_:
        output = json.loads(file_.metadata()["cnntrain"])["output"]
    assert (output["name"], output["shape"][1:]) == GIVEN[task]
    assert run("report", folder, "--out", "card.html")[0] == 0
    words = [word for check in CHECKED for word in ("--check", check)]
    code, out, err = run("diagnose", file, *words, "--json")
    assert out, err
    verdicts = {each["check"]: each["verdict"] for each in json.loads(out)["checks"]}
    assert set(verdicts) == set(CHECKED), err
    assert code == 0, verdicts
    code, _, err = run("fit", "--resume", folder, "--epochs", "4")
    assert code == 0, err
    code, _, err = run("visualize", "saliency", folder, "--out", "saliency.png")
    assert (code, "the picture 'saliency' is of images that have a class" in err) == (
        (0, False) if task == "classification" else (2, True)
    ), err
    if task != "classification":
        code, _, err = run("calibrate", folder)
        assert (code, "only classifications are calibrated" in err) == (2, True)


def _predicts(task: str, folder: Path, run: Run) -> None:
    code, out, err = run("predict", folder, "images/1.png", "images/2.png", "--json")
    assert code == 0, err
    one, two = json.loads(out)["predictions"]
    assert set(one) == SAID[task] | {"file", "error"}
    assert one != two
    rows = list(csv.DictReader(io.StringIO(run("predict", folder, "images/1.png",
                                               "--format", "csv")[1])))  # fmt: skip
    assert rows[0]["file"] == "images/1.png"
    _writes(task, folder, run)
    assert run("predict", folder, "images/1.png")[1].splitlines()[1].startswith("images/1.png")


def _writes(task: str, folder: Path, run: Run) -> None:
    """Pages and folders by class, and images, only of what has them."""
    pair = ("images/1.png", "images/2.png")
    places = ("--html", "page.html", "--sort-into", "sorted")
    code, _, err = run("predict", folder, *pair, *places)
    if "class" in SAID[task]:
        assert code == 0, err
        assert len(list(Path("sorted").glob("*/?.png"))) == 2
        assert Path("page.html").read_text().count("<img") == 2
    else:
        assert (code, "--html is for images that are of one class each" in err) == (2, True)
    code, _, err = run("predict", folder, *pair, "--out", "given")
    if task in ("reconstruction", "multitask"):
        assert code == 0, err
        pixels = np.array([np.array(Image.open(f"given/{name}.png")) for name in "12"])
        found = open_model(folder).predict(list(pair))
        wanted = torch.stack([each.other.pixels for each in found])  # type: ignore[union-attr]
        assert pixels.shape == (2, 8, 8)
        assert np.abs(pixels / 255 - wanted[:, 0].numpy()).max() <= 0.5 / 255 + 1e-6
    else:
        said = "gives no image to be written" if task in OF_IMAGES else "--out is for networks that"
        assert (code, said in err) == (2, True), err


@pytest.mark.parametrize("task", OF_TASKS)
def test_pictures_are_drawn_or_say_what_they_need(
    task: str, task_file: RunFile, run: Run, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    assert run("fit", task_file(task, {"train.epochs": 1}), "--out", folder)[0] == 0
    form = form_of(TASKS.entry(task))
    for entry in PICTURES.entries():
        forms = entry.options.get("forms")
        words = [entry.name] if "command" in entry.options else ["visualize", entry.name]
        image = ["images/1.png"] if entry.name == "retrieve" else []
        if forms is not None and form not in forms:
            code, _, err = run(*words, folder, *image)
            assert code == 2, entry.name
            assert f"the picture '{entry.name}' is of images that have " in err
        elif entry.name in (
            "filters",
            "maps",
            "retrieve",
            "saliency",
            "confusion",
            "scatter",
            "reconstructions",
            "neighbours",
            "embedding",
        ):
            code, _, err = run(*words, folder, *image, "--out", f"{entry.name}.png")
            assert code == 0, err


OF_PIXELS: dict[str, Any] = {
    "losses": ["pixel_cross_entropy"],
    "file": {
        "data.transforms": {split: [{"resize": {"size": [8, 8]}}] for split in ("train", "eval")},
        "arch.layers": [{"conv": {"out": 1, "kernel": 3, "padding": 1}}, "sigmoid"],
    },
}
"""What a loss of pixels needs: nothing normalised, and outputs from 0 to 1."""


@pytest.mark.parametrize("task", OF_TASKS)
def test_every_loss_that_fits(
    task: str, task_file: RunFile, train_tiny: Callable[..., Any], run: Run, tmp_path: Path
) -> None:
    fitting = [each.name for each in LOSSES.entries() if form_of(TASKS.entry(task)) in fits(each)]
    for name in fitting if task != "classification" else ["mse"]:  # see tests/fit/test_sweep.py
        is_of_pixels = name in OF_PIXELS["losses"] and task != "layer_reconstruction"
        own = OF_PIXELS["file"] if is_of_pixels else {}
        file = task_file(task, {"train.loss": {"name": name}, "train.epochs": 4, **own})
        outcome = train_tiny(file, out=tmp_path / name)
        rows = [json.loads(line) for line in
                (tmp_path / name / "metrics.jsonl").read_text().splitlines()]  # fmt: skip
        losses = [row["train_loss"] for row in rows if row["type"] == "epoch"]
        assert losses[-1] < losses[0], name
        assert outcome.test is not None


@pytest.mark.parametrize("task", OF_TASKS)
@pytest.mark.parametrize("memory", ["resident", "stream"])
def test_a_run_that_was_cut_off_is_the_same_run(
    task: str,
    memory: str,
    task_file: RunFile,
    train_tiny: Callable[..., Any],
    differences: Callable[[Path, Path], list[str]],
    tmp_path: Path,
) -> None:
    file = task_file(task, {"data.memory": memory})
    train_tiny(file, out=tmp_path / "whole")
    train_tiny(file, out=tmp_path / "cut", stop=7)  # of 15 steps, in the second epoch
    train_tiny(resumed=tmp_path / "cut")
    pair = (tmp_path / name / "checkpoints" / "last.pt" for name in ("whole", "cut"))
    assert differences(*pair) == []


def test_what_does_not_fit_is_refused_at_its_line(task_file: RunFile, run: Run) -> None:
    code, _, err = run("check", task_file("regression", {"train.loss": {"name": "hinge"}}))
    assert code == 2
    assert "the loss 'hinge' is not for numbers (regression)" in err
    assert "choose from huber, mae, mse" in err
    code, _, err = run("check", task_file("regression", {"data.number_columns": []}))
    assert code == 2
    assert "learns numbers, and an image here has a class" in err
    assert "name them in data.number_columns, or set task.name to classification" in err
    code, _, err = run("check", task_file("regression", {"data.sampling": "balanced"}))
    assert code == 2
    assert "there are no classes to be drawn equally often in regression" in err
    code, _, err = run("check", task_file("regression", {"train.select": "macro_f1"}))
    assert code == 2
    assert "nothing called 'macro_f1' can select the weights in regression" in err
