"""Each loss, optimizer, schedule and way of computing trains, from a run file to checkpoints."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.core.choices import CHOICES
from cnntrain.core.target_forms import fits
from cnntrain.fit.fit import Outcome
from cnntrain.model.opening import open_model

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]

OPTIMIZERS = [
    {"name": "sgd", "lr": 0.05},
    {"name": "sgd", "lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-3},
    {
        "name": "sgd",
        "lr": 0.05,
        "weight_decay": 1e-3,
        "decay_norm_and_bias": True,
        "groups": [{"names": "conv*", "lr_factor": 0.5}, {"names": "output*", "weight_decay": 0.1}],
    },
    {"name": "adam", "lr": 0.01, "betas": [0.8, 0.99], "weight_decay": 1e-3},
    {"name": "adamw", "lr": 0.01, "weight_decay": 0.1, "epsilon": 1e-6},
    {"name": "rmsprop", "lr": 0.01, "momentum": 0.5, "centered": True},
    {"name": "lion", "lr": 0.001, "weight_decay": 0.1},
    {"name": "muon", "lr": 0.01, "groups": [{"names": "output*", "lr_factor": 0.5}]},
    {"name": "lamb", "lr": 0.01},
]
SCHEDULES = [
    {"name": "constant", "warmup_epochs": 0.5},
    {"name": "step", "every": 1},
    {"name": "multi_step", "milestones": [0.5, 1]},
    {"name": "exponential", "factor": 0.5},
    {"name": "cosine", "warmup_epochs": 1, "floor": 0.1},
    {"name": "polynomial", "power": 2.0},
    {"name": "plateau", "patience": 1},
    {"name": "one_cycle"},
    {"name": "cosine_restarts", "first_epochs": 0.5, "times": 2, "floor": 0.1},
    {"name": "inverse_sqrt", "warmup_epochs": 0.5},
]
LOSSES = [
    {"name": "cross_entropy", "label_smoothing": 0.1, "class_weights": [1.0, 2.0, 3.0]},
    {"name": "cross_entropy", "class_weights": "balanced"},
    {"name": "mse"},
    {"name": "focal", "gamma": 1.0, "class_weights": "balanced"},
    {"name": "poly1", "epsilon": 2.0},
    {"name": "binary_cross_entropy", "class_weights": [1.0, 2.0, 3.0]},
    {"name": "hinge", "form": "one_vs_rest", "squared": True},
]
OTHERS = [
    {"train.l1": 1e-4},
    {"train.accumulate": 4},
    {"train.clip_norm": 0.5},
    {"train.evaluate_every": 2},
    {"train.evaluate_views": 6},
    {"train.freeze": {2: ["conv1"]}},
    {"train.early_stop": {"patience": 5}},
    {"data.split.validation": None},
    {"data.split.validation": 0.25},
    {"data.drop_last": True},
    {"compute.precision": "bfloat16"},
    {"compute.precision": "float16", "train.clip_norm": 1.0},
    {"compute.channels_last": True},
    {"compute.deterministic": True},
    {"compute.threads": 2},
    {"record.checkpoint_every": 1},
    {"record.tensorboard": True},
]


def test_nothing_is_left_out() -> None:
    sweeps = {"optimizers": OPTIMIZERS, "schedules": SCHEDULES, "losses": LOSSES}
    for what, tried in sweeps.items():  # losses that are not for classes: tests/tasks/test_sweep.py
        names = {
            e.name for e in CHOICES[what].entries() if what != "losses" or "classes" in fits(e)
        }
        assert {each["name"] for each in tried} == names


@pytest.mark.parametrize(
    "changes",
    [
        *({"train.optimizer": each} for each in OPTIMIZERS),
        *({"train.schedule": each} for each in SCHEDULES),
        *({"train.loss": each} for each in LOSSES),
        *OTHERS,
    ],
    ids=str,
)
def test_two_epochs(
    run_file: RunFile, train_tiny: Train, tmp_path: Path, changes: dict[str, Any]
) -> None:
    file = run_file({"train.epochs": 2, **changes})
    outcome = train_tiny(file, out=tmp_path / "run")
    assert outcome.done is not None
    assert (outcome.done.reason, outcome.done.epoch) == ("finished", 2)
    rows = [json.loads(line) for line in (tmp_path / "run/metrics.jsonl").read_text().splitlines()]
    steps = [row for row in rows if row["type"] == "step"]
    assert all(row["loss"] is not None and row["loss"] < 10 for row in steps)
    assert outcome.test is not None
    assert open_model(tmp_path / "run").evaluate().metrics == outcome.test


def test_a_compiled_network_trains_and_goes_on(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    if shutil.which("c++") is None and shutil.which("g++") is None:
        pytest.skip("torch.compile needs a C++ compiler, and there is none here")
    torch.compiler.reset()  # other tests' networks count for its limit of variants
    layers = [{"conv": {"out": 2, "kernel": 3}}, "relu", "flatten", {"linear": {"out": 3}}]
    changes = {"arch": {"layers": layers}, "compute.compile": True, "train.epochs": 2}
    file = run_file({**changes, "data.images": 88, "data.batch_size": 32})  # batches of 32
    train_tiny(file, out=tmp_path / "run", stop=3)
    outcome = train_tiny(resumed=tmp_path / "run")
    assert outcome.done is not None
    assert outcome.done.reason == "finished"
    assert open_model(tmp_path / "run").evaluate().metrics == outcome.test
    found = open_model(tmp_path / "run").evaluate("validation").metrics
    assert found.error == outcome.done.best_value
