"""Numbers: sums against scikit-learn, normalised targets that are undone, tables of them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from cnntrain.assemble.checked import check_run_file
from cnntrain.checkpoint import load, save
from cnntrain.core.choices import PICTURES
from cnntrain.core.errors import CheckpointError, ConfigError, DataError
from cnntrain.data.read import open_splits
from cnntrain.export.export import export
from cnntrain.model.images import find_images
from cnntrain.model.opening import open_model
from cnntrain.tasks.answers import Numbers
from cnntrain.tasks.losses.mse import mse
from cnntrain.tasks.near_points import near_points
from cnntrain.tasks.regression import SAMPLE, Regress
from cnntrain.tasks.regression_report import Regression
from cnntrain.tasks.targets import Targets, measured

Train = Callable[..., Any]
RunFile = Callable[..., Path]
TARGETS = Targets("numbers", ("a", "b"), mean=(100.0, -3.0), std=(20.0, 0.5))


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """Every test of this file runs in a place of its own."""


@pytest.fixture
def numbers_file(run_file: RunFile, of_table: Mapping[str, Any]) -> RunFile:
    def write(changes: Mapping[str, Any] | None = None) -> Path:
        own = {"task.name": "regression", "data.number_columns": ["x", "y"]}
        return run_file({**deepcopy(of_table), **own, **(changes or {})})

    return write


def test_sums_are_scikit_learns() -> None:
    """In batches of any size, in the units of the data."""
    draws = np.random.default_rng(0)
    truth = (draws.normal(size=(700, 2)) * (20, 0.5) + (100, -3)).astype(np.float32)
    outputs = draws.normal(size=(700, 2)).astype(np.float32)
    numbers = outputs * np.float32((20, 0.5)) + np.float32((100, -3))
    task = Regress(targets=TARGETS)
    sums, criterion = task.sums(torch.tensor(outputs[:1])), task.criterion(mse())
    for start, end in ((0, 1), (1, 300), (300, 700)):
        batch = torch.tensor(outputs[start:end]), torch.tensor(truth[start:end])
        sums.add(*batch, loss=criterion(*batch), weight=criterion.weight(batch[1]))
    found = sums.compute()
    for column in range(2):
        pair = truth[:, column].astype(np.float64), numbers[:, column].astype(np.float64)
        assert found.mae[column] == pytest.approx(mean_absolute_error(*pair), rel=1e-9)
        assert found.rmse[column] == pytest.approx(mean_squared_error(*pair) ** 0.5, rel=1e-9)
        assert found.r2[column] == pytest.approx(r2_score(*pair), rel=1e-9, abs=1e-9)
    normalised = (truth - np.float32((100, -3))) / np.float32((20, 0.5))
    expected = 0.5 * ((outputs - normalised) ** 2).sum(axis=1).mean()  # the formula of mse
    assert found.loss == pytest.approx(expected, rel=1e-5)
    assert torch.equal(found.sample[0], torch.tensor(truth))
    judged = task.judged(task.answers(torch.tensor(outputs)), torch.tensor(truth),
                         criterion=criterion)  # fmt: skip
    assert isinstance(judged, Regression)
    assert judged.mae == pytest.approx(found.mae)
    assert judged.loss == pytest.approx(found.loss, rel=1e-4)


def test_what_is_drawn_is_spread_over_all_images() -> None:
    task = Regress(targets=Targets("numbers", ("a",), (0.0,), (1.0,)))
    sums = task.sums(torch.zeros(1, 1))
    for start in range(0, 3 * SAMPLE, SAMPLE // 4):
        values = torch.arange(start, start + SAMPLE // 4).float()[:, None]
        sums.add(values, values, loss=torch.tensor(0.0), weight=1.0)
    kept = sums.compute().sample[0, :, 0]
    assert SAMPLE // 2 < len(kept) <= SAMPLE
    assert kept.max() > 2.9 * SAMPLE
    assert kept.diff().unique().tolist() == [4.0]


def test_numbers_that_are_all_the_same() -> None:
    targets = measured("numbers", ("a", "b"), torch.tensor([[1.0, 5.0], [3.0, 5.0]]))
    assert targets.mean == (2.0, 5.0)
    assert targets.std == (1.0, 1.0)  # of the population; what never differs is not divided by 0
    task = Regress(targets=targets)
    outputs = torch.tensor([[0.0, 0.0], [1.0, 0.0]])
    truth = torch.tensor([[1.0, 5.0], [3.0, 5.0]])
    sums = task.sums(outputs)
    sums.add(outputs, truth, loss=torch.tensor(0.0), weight=2.0)
    found = sums.compute()
    assert found.r2 == (pytest.approx(1 - 0.5 / 1), None)
    assert task.guessed(found) is None
    with pytest.raises(DataError, match="no images to evaluate"):
        task.sums(outputs).compute()


def test_the_scale_of_the_training_images_is_undone(
    numbers_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """In the figures, in predictions, in what files say; the checkpoint keeps it."""
    outcome = train_tiny(numbers_file({"train.epochs": 40}), out=tmp_path / "run")
    state = load(tmp_path / "run/checkpoints/best.pt")
    model = open_model(tmp_path / "run")
    data = model.loaded.config.data
    whole = open_splits("csv", parameters=data.parameters, holdout=data.holdout(seed=0))
    learnt = whole.train.targets.double()
    assert state["targets"]["mean"] == pytest.approx(learnt.mean(dim=0).tolist())
    assert state["targets"]["std"] == pytest.approx(learnt.std(dim=0, correction=0).tolist())
    found = model.evaluate("test").metrics
    assert found == outcome.test
    assert found.figures["r2"] > 0.1  # it has learnt
    assert whole.test is not None
    files = [str(path) for path in whole.test.paths]  # type: ignore[union-attr]
    said = [each.answer for each in model.predict(files)]
    assert all(isinstance(each, Numbers) for each in said)
    numbers = np.array([[value for _, value in each.pairs] for each in said])  # type: ignore[union-attr]
    truth = whole.test.targets.numpy()
    assert np.abs(numbers - truth).mean(axis=0) == pytest.approx(found.mae, rel=1e-4)
    plain = train_tiny(numbers_file({"task.normalize": False}), out=tmp_path / "plain")
    assert open_model(tmp_path / "plain").evaluate().metrics == plain.test


def test_what_selects_the_best_weights(
    numbers_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    for select in ("mae", "r2"):
        file = numbers_file({"train.select": select, "train.epochs": 5})
        train_tiny(file, out=tmp_path / select)
        lines = (tmp_path / select / "metrics.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        found = [r for r in rows if r["type"] == "evaluation" and r["split"] == "validation"]
        best = (min if select == "mae" else max)(found, key=lambda row: row[select])
        summary = json.loads((tmp_path / select / "summary.json").read_text())
        assert summary["best_epoch"] == best["epoch"]
        assert summary[f"best_{select}"] == pytest.approx(best[select])


def test_numbers_in_tables_that_are_wrong(numbers_file: RunFile, train_tiny: Train) -> None:
    file = numbers_file()
    table = Path("table.csv")
    text = table.read_text()
    lines = text.splitlines()
    for bad in ("", "two", "nan", "inf"):
        cells = lines[3].split(",")
        cells[1] = bad
        table.write_text("\n".join([*lines[:3], ",".join(cells), *lines[4:]]))
        with pytest.raises(DataError, match=rf"csv:4: '{bad}' in the column 'x' is not a number"):
            train_tiny(file)
    table.write_text("\n".join([*lines, lines[3].replace(",", ",1", 1)]))
    with pytest.raises(DataError, match=r"the numbers of .* are '1"):
        train_tiny(file)
    table.write_text(text)
    with pytest.raises(DataError, match=r"no column 'xx' .*number_columns.*did you mean 'x'"):
        train_tiny(numbers_file({"data.number_columns": ["xx"]}))
    both = numbers_file({"data.label_columns": ["left", "low"]})
    with pytest.raises(
        ConfigError, match="an image here has several things; leave out the columns"
    ):
        train_tiny(both)
    wide = {"layers": ["flatten", {"linear": {"out": 3}}]}
    with pytest.raises(ConfigError, match="gives 3 outputs, but each image has 2 to be learnt"):
        train_tiny(numbers_file({"arch": wide}))


def test_statistics_in_a_checkpoint_that_are_damaged(
    numbers_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    train_tiny(numbers_file({"train.epochs": 1}), out=tmp_path / "run")
    file = tmp_path / "run/checkpoints/best.pt"
    state = load(file)
    for key, value in (("std", [1.0, 0.0]), ("mean", [1.0]), ("form", "pictures")):
        save(file, {**state, "targets": {**state["targets"], key: value}})
        with pytest.raises(CheckpointError, match=f"targets.*{key}"):
            open_model(tmp_path / "run")


def test_an_exported_file_gives_the_numbers(
    numbers_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """Numbers made of its outputs as it says are those of `predict`."""
    train_tiny(numbers_file({"train.epochs": 1}), out=tmp_path / "run")
    model = open_model(tmp_path / "run")
    [_] = export(model, formats=["onnx"], out=tmp_path / "net.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
    output = json.loads(session.get_modelmeta().custom_metadata_map["cnntrain"])["output"]
    assert [each.name for each in session.get_outputs()] == [output["name"]] == ["numbers"]
    image = tmp_path / "images" / "1.png"
    [given] = session.run(None, {"images": model.prepare([image]).numpy()})
    numbers = given[0] * np.array(output["scale"]) + np.array(output["mean"])
    [said] = model.predict([image])
    assert said.other is not None
    assert dict(zip(output["numbers"], numbers, strict=True)) == pytest.approx(
        said.other.data()["numbers"], rel=1e-5
    )


def test_points_are_counted_by_hand(
    numbers_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """Of three points in a box of 10 by 4 two are off by 2 or less; then a run with two points."""
    true = torch.tensor([[0.0, 0.0, 10.0, 0.0, 5.0, 4.0]])
    given = true + torch.tensor([[1.0, 1.0, 0.0, 2.0, 2.0, 1.0]])
    assert near_points(given, true, share=0.2).tolist() == [[True, True, False]]
    own = {"data.number_columns": ["x", "y", "left", "low"], "task.pck": 0.5, "train.select": "pck"}
    outcome = train_tiny(numbers_file({**own, "train.epochs": 2}), out=tmp_path / "run")
    model = open_model(tmp_path / "run")
    images = find_images(model, split="test")
    answers = model.task.answers(model.logits(images.at(range(12))))  # type: ignore[attr-defined]
    right = 0
    for guess, truth in zip(answers.tolist(), images.targets.tolist(), strict=True):
        side = max(abs(truth[0] - truth[2]), abs(truth[1] - truth[3]))
        right += sum(math.dist(guess[i : i + 2], truth[i : i + 2]) <= 0.5 * side for i in (0, 2))
    assert outcome.test is not None
    assert outcome.test.figures["pck"] == pytest.approx(right / 24)
    assert 0 < right < 24
    drawn = PICTURES.load("points")(model=model, count=3)
    assert [len(each["true"]) for each in drawn.facts["images"]] == [2, 2, 2]
    np.testing.assert_allclose(
        np.reshape(drawn.facts["images"][1]["predicted"], -1), answers[1].numpy(), rtol=1e-5
    )
    with pytest.raises(ConfigError, match="'pck' selects the weights only where"):
        check_run_file(numbers_file({"train.select": "pck"}))
    with pytest.raises(ConfigError, match="learns 2 numbers, but points have an x and a y each"):
        check_run_file(numbers_file({"task.pck": 0.2}))
