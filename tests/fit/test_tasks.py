"""What a task decides: what selects the best weights; and a task of one's own, in one file."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.assemble.checked import check_run_file
from cnntrain.checkpoint import load
from cnntrain.core.errors import ConfigError
from cnntrain.fit.ablate import ablate
from cnntrain.fit.fit import Outcome
from cnntrain.fit.folds import cross_validate, load_folds
from cnntrain.model.opening import open_model
from cnntrain.tasks.classification_report import class_scores, mean_score

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"
ORDINAL = PAGE.read_text("utf-8").partition("# ordinal.py\n")[2].partition("```")[0]


@pytest.mark.parametrize("select", ["loss", "macro_f1", "balanced_accuracy", "error"])
def test_what_selects_the_best_weights(
    select: str, train_tiny: Train, run_file: RunFile, tmp_path: Path
) -> None:
    file = run_file({"train.select": select, "train.epochs": 5})
    outcome = train_tiny(file, out=tmp_path / "run")
    folder = tmp_path / "run"
    found = open_model(folder).evaluate("validation").metrics
    mean = mean_score(class_scores(found.confusion))
    value = {"loss": found.loss, "error": found.error, "macro_f1": mean.f1}
    expected = value.get(select, mean.recall)
    assert outcome.done is not None
    assert outcome.done.best_value == pytest.approx(expected)
    summary = json.loads((folder / "summary.json").read_text())
    assert summary[f"best_{select}"] == pytest.approx(expected)
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    evaluations = [r for r in rows if r["type"] == "evaluation" and r["split"] == "validation"]
    if select in ("loss", "error"):
        best = min(evaluations, key=lambda row: (row[select], row["loss"]))
        assert summary["best_epoch"] == best["epoch"]
    resumed = train_tiny(resumed=folder, overrides=["train.epochs=6"])
    assert resumed.done is not None
    again = json.loads((folder / "summary.json").read_text())
    assert again["best_epoch"] in (summary["best_epoch"], 6)


def test_the_last_weights_are_kept(
    train_tiny: Train, run_file: RunFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of a run whose best epoch, by its error, is not its last one; stopping early reads on."""
    changes = {"train.select": "last", "train.epochs": 2, "train.optimizer.lr": 2.0}
    outcome = train_tiny(run_file(changes), out=tmp_path / "run")
    lines = (tmp_path / "run/metrics.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    errors = [r["error"] for r in rows if r["type"] == "evaluation" and r["split"] == "validation"]
    assert min(errors) < errors[-1]
    assert outcome.done is not None
    assert (outcome.done.best_epoch, outcome.done.best_value) == (2, errors[-1])
    best, last = (tmp_path / f"run/checkpoints/{name}.pt" for name in ("best", "last"))
    assert best.samefile(last)
    assert "(epoch 2, the last)" in capsys.readouterr().err
    changes |= {"train.early_stop": {"patience": 1}, "train.epochs": 6}
    early = train_tiny(run_file(changes), out=tmp_path / "early", quiet=False)
    assert early.done is not None
    table = [line.split()[0] for line in capsys.readouterr().err.splitlines() if line]
    assert ("best" in table, table.count("last")) == (False, 1)
    assert (early.done.epoch, early.done.best_epoch) == (2, 2)


def test_few_validation_images_are_said_to_choose_by_chance(
    train_tiny: Train, run_file: RunFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(**changes: object) -> str:
        folder = tmp_path / f"run{len(list(tmp_path.glob('run*')))}"
        train_tiny(run_file({"train.epochs": 2, **changes}), out=folder, quiet=False)
        return " ".join(capsys.readouterr().err.split())

    note = "the best epoch is chosen by 20 validation images, which is partly chance"
    small = {"data.split.validation": 20}
    assert f"{note} (one image is 5.0% of the error)" in said(**small)
    assert note not in said(**small, **{"train.select": "last"})
    assert note not in said(**small, **{"train.epochs": 1})


def test_what_cannot_select(run_file: RunFile) -> None:
    with pytest.raises(ConfigError, match="did you mean 'macro_f1'"):
        check_run_file(run_file({"train.select": "macro_fl"}))
    file = run_file({"train.select": "loss", "data.split.validation": None})
    with pytest.raises(ConfigError, match="selecting weights needs validation images"):
        check_run_file(file)


@pytest.fixture
def ordinal(run_file: RunFile, tmp_path: Path) -> dict[str, Any]:
    """Changes of `run_file`: the task of docs/plugins.md, and a network for it."""
    (tmp_path / "ordinal.py").write_text(ORDINAL)
    layers = [{"conv": {"out": 4, "kernel": 3}}, "relu", "flatten"]
    return {
        "plugins": ["ordinal.py"],
        "task.name": "ordinal",
        "arch.layers": [*layers, {"linear": {"out": "$num_classes - 1"}}],
        "train.epochs": 3,
    }


def test_a_task_of_ones_own(
    train_tiny: Train, run_file: RunFile, ordinal: dict[str, Any], tmp_path: Path
) -> None:
    """Through the loop, the recorder, the checkpoints, eval and a resume."""
    whole = train_tiny(run_file(ordinal), out=tmp_path / "whole")
    assert whole.done is not None
    assert whole.test is not None
    assert whole.test.figures["distance"] < 0.6  # of classes 0, 1, 2: guessing the middle has 0.67
    header, *rows = (tmp_path / "whole" / "metrics.csv").read_text().splitlines()
    assert header.split(",")[2:7] == [
        "train_loss", "train_distance", "validation_loss", "validation_distance",
        "validation_error",
    ]  # fmt: skip
    assert len(rows) == 3
    assert open_model(tmp_path / "whole").evaluate().metrics == whole.test
    train_tiny(run_file(ordinal), out=tmp_path / "cut", stop=7)
    train_tiny(resumed=tmp_path / "cut")
    states = [load(tmp_path / name / "checkpoints" / "last.pt") for name in ("whole", "cut")]
    assert all((a == b).all() for a, b in zip(*(s["model"].values() for s in states), strict=True))
    layers = [*ordinal["arch.layers"][:-1], {"linear": {"out": 3}}]
    with pytest.raises(ConfigError, match=r"the network gives \(3,\), not a number for each step"):
        check_run_file(run_file(ordinal | {"arch.layers": layers}))
    with pytest.raises(ConfigError, match="unknown task 'ordinla'; did you mean 'ordinal'"):
        check_run_file(run_file(ordinal | {"task.name": "ordinla"}))
    with pytest.raises(ConfigError, match="unknown key 'place' in task"):
        check_run_file(run_file(ordinal | {"task.place": 2}))


def test_the_loss_and_the_answers_of_it_by_hand(tmp_path: Path) -> None:
    """Probabilities of being above each step: 0.9, 0.6, 0.2; so two steps up, with 0.6 - 0.2."""
    names: dict[str, Any] = {}
    exec(compile(ORDINAL, "ordinal.py", "exec"), names)
    outputs = torch.tensor([[0.9, 0.6, 0.2]]).logit()
    loss = float(names["cumulative"]()(outputs, torch.tensor([1])))
    assert loss == pytest.approx(-math.log(0.9) - math.log(1 - 0.6) - math.log(1 - 0.2))
    [said] = names["Ordinal"]().said(outputs, "abcd", top=3)
    assert said.pairs == (("c", pytest.approx(0.4)),)
    assert names["Ordinal"]().decisions(outputs).tolist() == [2]


def test_folds_and_ablation_have_the_figure_of_the_task(
    run_file: RunFile, ordinal: dict[str, Any], own_place: None
) -> None:
    short = {"train.epochs": 1, "data.images": 24, "data.split.validation": None}
    file = run_file(ordinal | short)
    found = cross_validate(load_folds(file, [], folds=2), quiet=True, tell=lambda _: None)
    values = [result.last for result in found.results]
    assert (found.figure, found.mean("last")) == ("distance", pytest.approx(sum(values) / 2))
    summary = json.loads((found.path / "summary.json").read_text())
    assert [run["distance"] for run in summary["runs"]] == values
    assert all(0 <= value <= 2 for value in values)
    done = ablate(file, [("relu1",)], train=True, overrides=["data.split.validation=0.2"])
    tested = [results_of(variant.run)["distance"] for variant in done.variants]
    assert [variant.value for variant in done.variants] == tested


def results_of(run: Path | None) -> dict[str, Any]:
    """What a run's summary has of its test images."""
    assert run is not None
    found: dict[str, Any] = json.loads((run / "summary.json").read_text())["test"]
    return found
