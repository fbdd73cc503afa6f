"""Temperature scaling: found on the validation images, kept with the weights, used everywhere."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from PIL import Image

from cnntrain.checkpoint import load, save
from cnntrain.core.kinds import Split
from cnntrain.model import calibrated
from cnntrain.model.calibrated import Calibrated, Calibration
from cnntrain.model.opening import open_model

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]


@pytest.fixture
def run(cnntrain: Cnntrain, run_file: RunFile) -> Path:
    file = run_file({"train.epochs": 2, "train.optimizer.lr": 3e-3})
    answer = cnntrain("fit", file, "-q", "--out", "one")
    assert answer.code == 0, answer.err
    return Path("one")


def evaluated(cnntrain: Cnntrain, run: Path, split: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(cnntrain("eval", run, "--split", split, "--json").out)
    return found


def test_it_is_kept_and_used(cnntrain: Cnntrain, run: Path) -> None:
    before = {split: evaluated(cnntrain, run, split) for split in ("validation", "test")}
    answer = cnntrain("calibrate", run, "--json")
    assert answer.code == 0, answer.err
    done = json.loads(answer.out)
    assert done["kept"]
    assert load(run / "checkpoints" / "best.pt")["temperature"] == done["temperature"] != 1.0
    for split, found in before.items():
        after = evaluated(cnntrain, run, split)
        assert done["before"][split]["log_loss"] == pytest.approx(found["log_loss"], abs=1e-9)
        assert done["before"][split]["error"] == pytest.approx(found["calibration_error"])
        assert done["after"][split]["log_loss"] == pytest.approx(after["log_loss"], abs=1e-6)
        assert done["after"][split]["error"] == pytest.approx(after["calibration_error"], abs=1e-6)
        # what is logged and what is answered stay as they were
        assert [after[key] for key in ("loss", "confusion")] == [
            found[key] for key in ("loss", "confusion")
        ]
    validation = [done[when]["validation"]["log_loss"] for when in ("before", "after")]
    assert validation[1] < validation[0]
    again = json.loads(cnntrain("calibrate", run, "--json").out)
    assert again["temperature"] == pytest.approx(done["temperature"], rel=1e-5)
    assert again["before"] == done["before"]
    # both ways of evaluation divide by it
    twice = json.loads(cnntrain("eval", run, run, "--json").out)
    assert twice["log_loss"] == pytest.approx(done["after"]["test"]["log_loss"], abs=1e-6)


def test_predict_and_export(cnntrain: Cnntrain, run: Path) -> None:
    temperature = json.loads(cnntrain("calibrate", run, "--json").out)["temperature"]
    Image.linear_gradient("L").resize((8, 8)).save("image.png")
    [found] = json.loads(cnntrain("predict", run, "image.png", "--json").out)["predictions"]
    model = open_model(run)
    logits = model.logits(model.prepare("image.png"))[0]
    expected = (logits / temperature).softmax(dim=0)
    for each in found["probabilities"]:
        wanted = float(expected[model.classes.index(each["class"])])
        assert each["probability"] == pytest.approx(wanted, abs=1e-6)
    assert cnntrain("export", run, "--to", "safetensors", "--out", "net.safetensors").code == 0
    with safetensors.safe_open("net.safetensors", "pt") as file:
        about = json.loads(file.metadata()["cnntrain"])
    assert about["output"]["temperature"] == temperature


def test_a_resumed_run_is_the_same_run(cnntrain: Cnntrain, run: Path) -> None:
    shutil.copytree(run, "plain")
    assert cnntrain("calibrate", run).code == 0
    assert cnntrain("calibrate", run / "checkpoints" / "last.pt").code == 0
    for folder in (run, Path("plain")):
        answer = cnntrain("fit", "--resume", folder, "--epochs", "4", "-q")
        assert answer.code == 0, answer.err
    ours, theirs = (load(each / "checkpoints" / "last.pt") for each in (run, Path("plain")))
    assert all(torch.equal(ours["model"][name], theirs["model"][name]) for name in ours["model"])
    # other weights: their temperature is unknown
    assert "temperature" not in ours
    assert load(run / "checkpoints" / "best.pt")["train"]["best_epoch"] > 2
    assert open_model(run).temperature == 1.0


def test_recalibrated_statistics_have_no_temperature(cnntrain: Cnntrain, run: Path) -> None:
    assert cnntrain("calibrate", run).code == 0
    assert cnntrain("recalibrate", run).code == 0
    assert "temperature" not in load(run / "checkpoints" / "recalibrated.pt")


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ((0.05, 0.4), ""),
        ((0.2, 0.4), "the calibration error of the 18 test images is higher than before, and "),
        ((0.05, 0.6), "the log loss of the 18 test images is higher than before: take more "),
    ],
)
def test_what_did_not_help_is_noted(
    cnntrain: Cnntrain, monkeypatch: pytest.MonkeyPatch, after: tuple[float, float], said: str
) -> None:
    before: dict[Split, Calibration] = {"test": Calibration(18, 0.1, 0.5)}
    found: dict[Split, Calibration] = {"test": Calibration(18, *after)}
    done = Calibrated(Path("a.pt"), True, 0.7, before, found)
    monkeypatch.setattr(calibrated, "calibrate_run", lambda *_, **__: done)
    answer = cnntrain("calibrate", "a")
    assert ("note: " in answer.err, said in answer.err) == (bool(said), True)


def test_what_it_says_and_refuses(cnntrain: Cnntrain, run: Path, run_file: RunFile) -> None:
    answer = cnntrain("calibrate", run)
    assert answer.out.splitlines()[0].split() == ["images", "calibration", "error", "log", "loss"]
    assert [line.split()[1:3] for line in answer.out.splitlines()[1:5]] == [
        [split, when] for split in ("validation", "test") for when in ("before", "after")
    ]
    assert answer.out.endswith(", kept in one/checkpoints/best.pt\n")
    best = run / "checkpoints" / "best.pt"
    save(best, {**load(best), "temperature": -1.0})
    answer = cnntrain("eval", run)
    assert answer.code == 4
    assert "part 'temperature' is damaged: it is -1.0, not a number above 0" in answer.err

    file = run_file({"train.epochs": 1, "data.split": {}}, name="none")
    assert cnntrain("fit", file, "-q", "--out", "none").code == 0
    answer = cnntrain("calibrate", "none")
    assert (answer.code, "the data have no validation split" in answer.err) == (2, True)
    assert cnntrain("fit", run_file(name="good"), "-q", "--out", "good").code == 0
    answer = cnntrain("calibrate", "good")
    assert answer.code == 2
    assert "all 24 validation images are right, so any lower temperature would" in answer.err
