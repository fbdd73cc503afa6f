"""Several heads: the weighted sum, and each head's figures, against the single tasks' values."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cnntrain.checkpoint import load, save
from cnntrain.core.choices import ChoiceError
from cnntrain.core.errors import CheckpointError
from cnntrain.data.read import open_splits
from cnntrain.model.opening import open_model
from cnntrain.tasks.classification import Classify
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.tasks.losses.weighted_sum import weighted_sum
from cnntrain.tasks.multitask import Multitask
from cnntrain.tasks.multitask_sums import Multitasked
from cnntrain.tasks.regression import Regress
from cnntrain.tasks.targets import Targets, several

Train = Callable[..., Any]
RunFile = Callable[..., Path]

N, CLASSES, SIDE = 7, 3, 4
NUMBERS = Targets("numbers", ("a", "b"), mean=(100.0, -3.0), std=(20.0, 0.5))
PARTS = (
    Targets("classes", ("cat", "dog", "hen")),
    NUMBERS,
    Targets("image", ("image",), mean=(0.5,), std=(0.25,)),
)
HEADS: dict[str, Any] = {
    "what": {"task": "classification", "loss": "cross_entropy", "weight": 1.0, "names": ()},
    "where": {"task": "regression", "loss": "mae", "weight": 0.3, "names": ("b",)},
    "picture": {"task": "reconstruction", "loss": "mse", "weight": 0.05, "names": ()},
}
SHAPES = {"input": (1, SIDE, SIDE), "picture": (1, SIDE, SIDE), "what": (CLASSES,), "where": (1,)}


def made(heads: Mapping[str, Any] = HEADS, parts: tuple[Targets, ...] = PARTS) -> Multitask:
    """The task as a run file makes it."""
    own = {"task": {"normalize": True}, "loss": {}}
    given = {
        name: {
            **head,
            "task": {"name": head["task"], **(own["task"] if head["task"] == "regression" else {})},
            "loss": {"name": head["loss"], **({"label_smoothing": 0.0, "class_weights": None}
                     if head["loss"] == "cross_entropy" else {})},
        }
        for name, head in heads.items()
    }  # fmt: skip
    return Multitask(heads=given, targets=several(parts), outputs=SHAPES)


@pytest.fixture
def batch() -> dict[str, np.ndarray[Any, Any]]:
    """Outputs and targets of each head, float64."""
    draws = np.random.default_rng(0)
    return {
        "what": draws.normal(size=(N, CLASSES)),
        "where": draws.normal(size=(N, 1)),
        "picture": draws.normal(size=(N, SIDE * SIDE)),
        "class": draws.integers(CLASSES, size=(N, 1)).astype(np.float64),
        "numbers": draws.normal(size=(N, 2)) * (20, 0.5) + (100, -3),
        "image": draws.normal(size=(N, SIDE * SIDE)),
    }


def rows(batch: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """The heads' outputs in the order of their names; class, numbers, image."""
    given = ("picture", "what", "where"), ("class", "numbers", "image")
    outputs, targets = (np.concatenate([batch[key] for key in keys], axis=1) for keys in given)
    return torch.tensor(outputs, requires_grad=True), torch.tensor(targets)


def test_the_weighted_sum_is_the_formulas(batch: dict[str, Any]) -> None:
    """Cross entropy, absolute and half squared errors, in numpy; and their gradients."""
    outputs, targets = rows(batch)
    loss = made().criterion(weighted_sum())
    found = loss(outputs, targets)
    classes = batch["class"][:, 0].astype(int)
    shares = np.exp(batch["what"]) / np.exp(batch["what"]).sum(axis=1, keepdims=True)
    entropy = -np.log(shares[np.arange(N), classes]).mean()
    off = batch["where"][:, 0] - (batch["numbers"][:, 1] + 3) / 0.5
    squares = 0.5 * ((batch["picture"] - batch["image"]) ** 2).sum(axis=1).mean()
    expected = entropy + 0.3 * np.abs(off).mean() + 0.05 * squares
    assert float(found.detach()) == pytest.approx(expected, rel=1e-12)
    assert loss.weight(targets) == N
    found.backward()
    assert outputs.grad is not None
    one_hot = np.eye(CLASSES)[classes]
    slopes = [
        0.05 * (batch["picture"] - batch["image"]),
        shares - one_hot,
        0.3 * np.sign(off)[:, None],
    ]
    expected_slopes = np.concatenate(slopes, axis=1) / N
    np.testing.assert_allclose(outputs.grad.numpy(), expected_slopes, rtol=1e-10, atol=1e-14)


def test_a_weight_of_0_leaves_a_head_out(batch: dict[str, Any]) -> None:
    heads = {**HEADS, "picture": {**HEADS["picture"], "weight": 0.0}}
    batch["picture"][:] = np.inf  # 0 times that would be nan
    outputs, targets = rows(batch)
    loss = made(heads).criterion(weighted_sum())(outputs, targets)
    loss.backward()
    assert loss.isfinite()
    assert outputs.grad is not None
    assert not outputs.grad[:, : SIDE * SIDE].any()


def test_figures_are_those_of_the_single_tasks(batch: dict[str, Any]) -> None:
    outputs, targets = (each.detach().float() for each in rows(batch))
    task = made()
    loss = task.criterion(weighted_sum())
    sums, epoch = task.sums(outputs), task.epoch_sums(outputs.device)
    for part in (slice(0, 3), slice(3, N)):
        pair = outputs[part], targets[part]
        sums.add(*pair, loss=loss(*pair), weight=loss.weight(pair[1]))
        epoch.add(*pair)
    found = sums.compute()
    assert (found.images, found.loss) == (N, pytest.approx(float(loss(outputs, targets)), rel=1e-6))
    logits, classes = outputs[:, 16:19], targets[:, 0].long()
    alone = Classify().sums(logits)
    alone.add(logits, classes, loss=CrossEntropy()(logits, classes), weight=N)
    assert found.parts["what"].figures == alone.compute().figures
    assert found.figures["what.error"] == float((logits.argmax(dim=1) != classes).double().mean())
    one = Regress(targets=Targets("numbers", ("b",), mean=(-3.0,), std=(0.5,)))
    numbers = one.answers(outputs[:, 19:])
    distance = float((numbers - targets[:, 2:3]).abs().mean())
    assert found.figures["where.mae"] == pytest.approx(distance, rel=1e-6)
    assert epoch.figures(N)["where.mae"] == pytest.approx(distance, rel=1e-6)
    assert epoch.figures(N)["what.error"] == found.figures["what.error"]
    assert set(epoch.tensors()) == {"picture.ratio", "what.wrong", "where.distance"}
    assert task.cost(found, "where.r2") == 1 - found.figures["where.r2"]
    assert task.selected("where.r2", 0.25) == 0.75
    assert task.text("picture.psnr", 20) == "20.00 dB"
    mean = task.together([task.answers(outputs), task.answers(outputs)])
    judged = task.judged(mean, targets, criterion=loss)
    assert judged.figures["what.error"] == found.figures["what.error"]
    assert judged.loss == pytest.approx(
        sum(HEADS[name]["weight"] * part.loss for name, part in judged.parts.items())
    )


def test_a_name_that_no_image_has() -> None:
    heads = {"where": {**HEADS["where"], "names": ("bb",)}}
    with pytest.raises(ChoiceError, match="learn 'bb', which no image has; did you mean 'b'"):
        made(heads)


def test_positive_weights_of_a_head() -> None:
    """`w t log(1 + exp(-s)) + (1 - t) log(1 + exp(s))`, summed over the labels."""
    task = {"name": "multilabel"}
    loss = {"name": "binary_cross_entropy", "positive_weights": (3.0, 0.5), "class_weights": None}
    head = {"task": task, "loss": loss, "weight": 2.0, "names": ()}
    targets = several([Targets("labels", ("left", "low"))])
    made_of = partial(Multitask, targets=targets, outputs={"tags": (2,)})
    scores, labels = torch.tensor([[1.0, -2.0]]), torch.tensor([[1.0, 0.0]])
    found = made_of(heads={"tags": head}).criterion(weighted_sum())(scores, labels)
    expected = 2 * (3 * np.log1p(np.exp(-1)) + np.log1p(np.exp(-2)))
    assert float(found) == pytest.approx(expected, rel=1e-6)
    loss["positive_weights"] = (3.0,)
    with pytest.raises(ChoiceError, match="the head 'tags': there are 1 positive weights for 2"):
        made_of(heads={"tags": head})


@pytest.fixture
def one_head(run_file: RunFile, of_table: Mapping[str, Any]) -> RunFile:
    """A classification, alone or as the only head."""

    def write(*, alone: bool) -> Path:
        tree = deepcopy(of_table)
        *trunk, last = tree["arch"]["layers"]
        if not alone:
            tree["arch"] = {"layers": trunk, "heads": {"side": {"layers": [last]}}}
            tree["task.name"] = "multitask"
            tree["task.heads"] = {"side": {"task": "classification"}}
        tree["train"]["select"] = "error" if alone else "side.error"
        return run_file(tree, name="alone" if alone else "head")

    return write


def test_one_head_is_the_single_task_bit_for_bit(
    one_head: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    results = [
        train_tiny(one_head(alone=alone), out=tmp_path / str(alone)) for alone in (True, False)
    ]
    single, multi = (load(tmp_path / name / "checkpoints/last.pt") for name in ("True", "False"))
    for a, b in zip(single["model"].values(), multi["model"].values(), strict=True):
        assert torch.equal(a, b)
    assert list(multi["model"])[-1] == "side.output.bias"
    assert isinstance(results[1].test, Multitasked)
    assert results[1].test.parts["side"] == results[0].test
    assert results[1].done.best_epoch == results[0].done.best_epoch
    assert results[1].done.best_value == results[0].done.best_value
    rows = (tmp_path / "False/metrics.csv").read_text().splitlines()
    assert rows[0].split(",")[2:7] == [
        "train_loss", "train_side.error",
        "validation_loss", "validation_side.loss", "validation_side.error",
    ]  # fmt: skip
    summary = json.loads((tmp_path / "False/summary.json").read_text())
    assert summary["best_side.error"] == results[0].done.best_value
    model = open_model(tmp_path / "False")
    assert model.evaluate().metrics == results[1].test


def test_targets_of_a_table(table: Path) -> None:
    parameters = {"file": str(table), "number_columns": ("x",), "label_separator": "|",
                  "label_column": "tags"}  # fmt: skip
    splits = open_splits("csv", parameters=parameters, form=("labels", "numbers", "image"))
    assert splits.classes == ("bright", "left", "low", "x")
    assert splits.targets.described == "3 labels and 1 number and 1 image"
    first = table.read_text().splitlines()[1].split(",")
    said = splits.targets.say(splits.train.targets[0])
    assert said == f"{', '.join(sorted(first[6].split('|')))}, {float(first[1])}".removeprefix(", ")
    labels, numbers, image = (each for _, each in splits.targets.divided(splits.train.targets))
    assert (labels.shape[1], numbers[0].tolist(), image.shape[1]) == (3, [float(first[1])], 0)
    x = numbers[:, 0].double()
    assert splits.targets.parts[1].mean == pytest.approx((float(x.mean()),))
    assert splits.targets.counts(splits.train.targets)[3] == len(x)
    parameters.pop("label_separator")
    parameters["label_column"] = "class"
    with pytest.raises(ValueError, match="has a class and numbers, and numbers would be learnt"):
        open_splits("csv", parameters=parameters, form="numbers")


def test_damaged_parts_in_a_checkpoint(
    one_head: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    train_tiny(one_head(alone=False), out=tmp_path / "run", overrides=["train.epochs=1"])
    path = tmp_path / "run/checkpoints/best.pt"
    state = load(path)
    state["targets"]["parts"][0]["names"] = 3
    save(tmp_path / "bad.pt", state)
    with pytest.raises(CheckpointError, match="parts"):
        open_model(tmp_path / "bad.pt")
