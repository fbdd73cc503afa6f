"""Recalibration as a command, and at the end of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from cnntrain.assemble.translation import open_run_data
from cnntrain.checkpoint import load
from cnntrain.model import recalibrated
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model
from cnntrain.model.recalibrated import Recalibrated
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.classification_report import Classification

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]
NO_NORM = {"arch": {"layers": ["flatten", {"linear": {"out": "$num_classes"}}]}}


@pytest.fixture
def run(cnntrain: Cnntrain, run_file: RunFile) -> Path:
    answer = cnntrain("fit", run_file({"train.epochs": 2}), "-q")
    assert answer.code == 0, answer.err
    return Path(answer.out.strip())


def statistics_of_all_images(trained: Model) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and variance of what the convolution gives for all training images at once."""
    data = open_run_data(trained.loaded, device="cpu", eval_steps=trained.eval_steps)
    images = torch.cat([batch.images for batch in data.train.batches(0)])
    conv = trained.net.get_submodule("conv1")
    assert isinstance(conv, nn.Conv2d)
    values = conv(images).transpose(0, 1).flatten(1)
    return values.mean(dim=1), values.var(dim=1)


def test_exact_statistics_are_those_of_all_images_together(cnntrain: Cnntrain, run: Path) -> None:
    best = run / "checkpoints" / "best.pt"
    before = best.read_bytes()
    answer = cnntrain("recalibrate", run, "--exact", "--json")
    assert (answer.code, answer.err) == (0, "")
    found = json.loads(answer.out)
    assert found["layers"] == ["batch_norm1"]
    assert found["split"] == "validation"
    assert found["before"]["images"] == found["after"]["images"] == 24
    path = run / "checkpoints" / "recalibrated.pt"
    assert found["checkpoint"] == str(path)
    mean, variance = statistics_of_all_images(open_model(best))
    weights = load(path)["model"]
    assert isinstance(weights, dict)
    torch.testing.assert_close(weights["batch_norm1.running_mean"], mean, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(weights["batch_norm1.running_var"], variance, rtol=1e-4, atol=1e-5)
    assert best.read_bytes() == before
    again = json.loads(cnntrain("eval", path, "--split", "validation", "--json").out)
    assert again["loss"] == found["after"]["loss"]


def test_in_one_pass_they_are_means_over_the_batches(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("recalibrate", run)
    assert answer.code == 0
    words = answer.out.split()
    assert words[:5] == ["validation", "images", "top-1", "error", "loss"]
    assert {"before", "after"} <= set(words)
    best, new = (run / "checkpoints" / f"{name}.pt" for name in ("best", "recalibrated"))
    assert (
        f"1 batch-norm layer of {best} recalibrated, saved as {new}; best.pt is unchanged, "
        in answer.out
    )
    mean, _ = statistics_of_all_images(open_model(run / "checkpoints" / "best.pt"))
    weights = load(run / "checkpoints" / "recalibrated.pt")["model"]
    assert isinstance(weights, dict)
    torch.testing.assert_close(weights["batch_norm1.running_mean"], mean, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("correct", [8, 9, 10])
def test_a_result_that_is_worse_is_said_to_be_so(
    cnntrain: Cnntrain, monkeypatch: pytest.MonkeyPatch, correct: int
) -> None:
    before, after = (
        Classification(
            10, 0.5, right / 10, None, right, torch.tensor([[right, 10 - right], [0, 0]])
        )
        for right in (9, correct)
    )
    a, b, layers = Path("a.pt"), Path("b.pt"), ("norm1", "norm2")
    done = Recalibrated(a, b, layers, "test", before, after, CLASSIFICATION, "error")
    monkeypatch.setattr(recalibrated, "recalibrate_run", lambda *_, **__: done)
    text = cnntrain("recalibrate", "a").out
    assert "2 batch-norm layers of a.pt recalibrated, saved as b.pt; a.pt is unchanged, " in text
    assert ("note: the error is worse than before\n" in text) == (correct < 9)


def test_nothing_is_overwritten(cnntrain: Cnntrain, run: Path) -> None:
    assert cnntrain("recalibrate", run).code == 0
    answer = cnntrain("recalibrate", run)
    assert answer.code == 2
    assert "recalibrated.pt already exists" in answer.err


def test_without_batch_norm_there_is_nothing_to_do(cnntrain: Cnntrain, run_file: RunFile) -> None:
    assert cnntrain("fit", run_file({**NO_NORM, "train.epochs": 1}), "-q", "--out", "a").code == 0
    answer = cnntrain("recalibrate", "a")
    assert answer.code == 2
    assert "no batch normalisation" in answer.err
    answer = cnntrain("fit", run_file({**NO_NORM, "train.recalibrate": True}), "-q", "--out", "b")
    assert answer.code == 2
    assert "no batch normalisation to recalibrate; remove this" in answer.err


def test_at_the_end_of_a_run(cnntrain: Cnntrain, run_file: RunFile) -> None:
    """best.pt gets the new statistics and is what is tested; last.pt is as it was."""
    plain, renewed = run_file(), run_file({"train.recalibrate": True}, name="renewed")
    assert cnntrain("fit", plain, "-q", "--out", "plain").code == 0
    answer = cnntrain("fit", renewed, "--out", "renewed")
    assert answer.code == 0
    assert "recalibrated loss" in answer.err
    files = [Path(name) / "checkpoints" for name in ("plain", "renewed")]
    for name, key in (("last", "batch_norm1.running_mean"), ("best", "output.weight")):
        one, other = (load(folder / f"{name}.pt")["model"] for folder in files)
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        assert torch.equal(one[key], other[key])
    mean, _ = statistics_of_all_images(open_model(files[0] / "best.pt"))
    best = load(files[1] / "best.pt")["model"]
    assert isinstance(best, dict)
    torch.testing.assert_close(best["batch_norm1.running_mean"], mean, rtol=1e-4, atol=1e-5)
    rows = [json.loads(line) for line in Path("renewed/metrics.jsonl").read_text().splitlines()]
    [after] = [row for row in rows if row.get("split") == "recalibrated"]
    [test] = [row for row in rows if row.get("split") == "test"]
    evaluated = {
        split: json.loads(cnntrain("eval", "renewed", "--split", split, "--json").out)
        for split in ("validation", "test")
    }
    assert evaluated["validation"]["loss"] == after["loss"]
    assert evaluated["test"]["loss"] == test["loss"]
    assert cnntrain("fit", "--resume", "renewed", "--epochs", "5", "-q").code == 0


def test_at_the_end_without_validation_images_and_with_an_average(
    cnntrain: Cnntrain, run_file: RunFile
) -> None:
    changes = {
        "data.split.validation": None,
        "train.recalibrate": True,
        "train.ema": {"decay": 0.5},
    }
    answer = cnntrain("fit", run_file(changes), "-q", "--out", "here")
    assert answer.code == 0, answer.err
    best, last = (load(Path("here/checkpoints") / f"{name}.pt") for name in ("best", "last"))
    key = "batch_norm1.running_mean"
    for part, changed in (("model", False), ("ema", True)):
        one, other = best[part], last[part]
        assert isinstance(one, dict)
        assert isinstance(other, dict)
        assert torch.equal(one[key], other[key]) != changed
    found = json.loads(cnntrain("eval", "here", "--json").out)
    rows = [json.loads(line) for line in Path("here/metrics.jsonl").read_text().splitlines()]
    [test] = [row for row in rows if row.get("split") == "test"]
    assert found["loss"] == test["loss"]


def test_what_stands_still_keeps_its_statistics(cnntrain: Cnntrain, run_file: RunFile) -> None:
    conv: dict[str, Any] = {"conv": {"out": 4, "kernel": 3}}
    output = {"linear": {"out": "$num_classes"}, "as": "output"}
    layers = [conv, "batch_norm", "relu", conv, "batch_norm", "flatten", output]
    arch = {"arch": {"layers": layers}, "train.epochs": 1}
    assert cnntrain("fit", run_file(arch, name="first"), "-q", "--out", "first").code == 0
    section = {"weights": {"run": "first"}, "head": "new", "freeze": ["conv1", "batch_norm1"]}
    file = run_file({**arch, "finetune": section}, name="second")
    assert cnntrain("fit", file, "-q", "--out", "some").code == 0
    answer = cnntrain("recalibrate", "some", "--json")
    assert json.loads(answer.out)["layers"] == ["batch_norm2"]
    names = ("first/checkpoints/best.pt", "some/checkpoints/recalibrated.pt")
    source, renewed = (load(Path(name))["model"] for name in names)
    assert isinstance(source, dict)
    assert isinstance(renewed, dict)
    for name in ("running_mean", "running_var"):
        assert torch.equal(renewed[f"batch_norm1.{name}"], source[f"batch_norm1.{name}"])
    whole = ("-s", "finetune.freeze=[conv1, batch_norm1, conv2, batch_norm2]")
    assert cnntrain("fit", file, *whole, "-q", "--out", "all").code == 0
    answer = cnntrain("recalibrate", "all")
    assert answer.code == 2
    assert "or they are frozen (finetune.freeze); there is nothing to recalibrate" in answer.err
