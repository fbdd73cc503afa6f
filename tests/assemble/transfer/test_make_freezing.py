"""Fine-tuning from a run file: what stands still, when it begins to learn, and at which rate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cnntrain.assemble.networks import make_network, plan_network
from cnntrain.assemble.prepare import prepare
from cnntrain.assemble.transfer.make_freezing import in_words, what_learns
from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError
from cnntrain.fit.fit import Outcome
from cnntrain.optim import set_learning_rate

Train = Callable[..., Outcome]
Differences = Callable[[Path, Path], list[str]]
RunFile = Callable[..., Path]

ARCH = {
    "blocks": {
        "conv_bn": {
            "params": {"out": None},
            "layers": [
                {"conv": {"out": "$out", "kernel": 3, "padding": "same", "bias": False}},
                "batch_norm",
                "relu",
            ],
        }
    },
    "layers": [
        {"conv_bn": {"out": 4}, "as": "stem"},
        {"dropout2d": {"p": 0.3}, "as": "drop"},
        {"conv_bn": {"out": 6}, "as": "body"},
        "global_avg_pool",
        {"linear": {"out": "$num_classes"}, "as": "output"},
    ],
}
SIZES = {"stem": 4 * 9 + 8, "body": 6 * 4 * 9 + 12, "output": 6 * 3 + 3}


@pytest.fixture
def finetune(run_file: RunFile, tmp_path: Path) -> RunFile:
    """`finetune({"freeze": ["stem"]}, {"train.epochs": 2})`: a run file with weights to load."""

    def write(section: dict[str, Any], changes: dict[str, Any] | None = None) -> Path:
        plain = load(run_file({"arch": ARCH}, name="plain"))
        net = make_network(plan_network(plain), seed=5)
        torch.save(net.state_dict(), tmp_path / "weights.pt")
        whole = {"weights": {"file": "weights.pt"}, "head": "new", **section}
        return run_file({"arch": ARCH, "finetune": whole, **(changes or {})}, name="tuned")

    return write


def weights_of(run: Path) -> dict[str, Tensor]:
    state = load_checkpoint(run / "checkpoints" / "last.pt")["model"]
    assert isinstance(state, dict)
    return state


def moved(run: Path, start: Path) -> set[str]:
    before = torch.load(start)
    return {name for name, value in weights_of(run).items() if not torch.equal(value, before[name])}


def test_frozen_layers_and_their_statistics_are_those_of_the_file(
    finetune: RunFile, train_tiny: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = finetune({"freeze": ["stem", "body"], "unfreeze": {3: ["body"]}}, {"train.epochs": 4})
    train_tiny(file, out=tmp_path / "run", quiet=False)
    assert not any(
        name.startswith("stem") for name in moved(tmp_path / "run", tmp_path / "weights.pt")
    )
    before = torch.load(tmp_path / "weights.pt")
    early = load_checkpoint(tmp_path / "run" / "checkpoints" / "previous.pt")["train"]
    assert isinstance(early, dict)
    assert early["epoch"] == 3
    assert torch.equal(weights_of(tmp_path / "run")["stem.batch_norm1.running_mean"],
                       before["stem.batch_norm1.running_mean"])  # fmt: skip
    body = {name for name in before if name.startswith("body")}
    assert body <= moved(tmp_path / "run", tmp_path / "weights.pt")
    said = capsys.readouterr().err
    still, total = SIZES["stem"] + SIZES["body"], sum(SIZES.values())
    assert (
        f"{still} of {total} weights are frozen; {SIZES['body']} of them learn from epoch 3" in said
    )
    buffers = load_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")["optimizer"]
    assert isinstance(buffers, dict)
    assert not any(name.startswith("stem") for name in buffers["buffers"])


EVERYTHING = {
    "train.ema": {"decay": 0.9},
    "train.clip_norm": 1.0,
    "train.schedule": {"name": "cosine"},
    "compute.channels_last": True,
}
SECTION = {
    "freeze": ["stem", "body"],
    "unfreeze": {2: ["body"], 3: ["stem.conv1"]},
    "l2_sp": 0.1,
    "lr_scale": {"body": 0.5},
    "layer_decay": 0.5,
}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("stops", [(5,), (7, 12), (10, 11)], ids=str)
def test_resumed_across_an_unfreeze_bit_for_bit(
    finetune: RunFile,
    train_tiny: Train,
    differences: Differences,
    tmp_path: Path,
    optimizer: str,
    stops: tuple[int, ...],
) -> None:
    """5 steps an epoch, so layers begin to learn after step 5 and after step 10.

    The weights are gone by then: L2-SP's starting point is in the checkpoint.
    """
    settings = {"name": optimizer, "lr": 0.05, "weight_decay": 1e-3}
    file = finetune(SECTION, {**EVERYTHING, "train.optimizer": settings})
    train_tiny(file, out=tmp_path / "whole")
    train_tiny(file, out=tmp_path / "parts", stop=stops[0])
    (tmp_path / "weights.pt").unlink()
    for stop in (*stops[1:], None):
        train_tiny(resumed=tmp_path / "parts", stop=stop)
    for name in ("last.pt", "best.pt"):
        whole, parts = (tmp_path / run / "checkpoints" / name for run in ("whole", "parts"))
        assert differences(whole, parts) == []
    start = load_checkpoint(tmp_path / "parts" / "checkpoints" / "last.pt")["start"]
    assert isinstance(start, dict)
    assert set(start) == {"body.conv1.weight", "stem.conv1.weight"}


def test_the_pull_is_towards_the_file(finetune: RunFile, train_tiny: Train, tmp_path: Path) -> None:
    """Strong enough to win over the loss, it leaves the loaded weights where they were."""
    distances = []
    for strength in (0.0, 5.0):
        file = finetune({"l2_sp": strength}, {"train.epochs": 2})
        train_tiny(file, out=tmp_path / f"{strength}")
        now, before = weights_of(tmp_path / f"{strength}"), torch.load(tmp_path / "weights.pt")
        names = ("stem.conv1.weight", "body.conv1.weight")
        distances.append(sum(float((now[n] - before[n]).norm()) for n in names))
    assert 0 < distances[1] < distances[0] / 3


def test_the_rates_of_the_optimizer(finetune: RunFile) -> None:
    """lr * decay ** (stages to the head) * scale * the group's factor, for every parameter."""
    changes = {
        "train.optimizer": {
            "name": "sgd",
            "lr": 0.1,
            "groups": [{"names": "*.bias", "lr_factor": 2.0}],
        }
    }
    section = {"layer_decay": 0.5, "lr_scale": {"body": 0.25, "*.batch_norm1.weight": 3.0}}
    prepared = prepare(load(finetune(section, changes)))
    optimizer = prepared.learner.optimizer
    set_learning_rate(optimizer, 0.1)
    rates = {name: group["lr"] for group in optimizer.param_groups for name in group["param_names"]}
    assert rates == {
        "stem.conv1.weight": 0.1 * 0.25,
        "stem.batch_norm1.weight": 0.1 * 0.25 * 3,
        "stem.batch_norm1.bias": 0.1 * 2 * 0.25,
        "body.conv1.weight": 0.1 * 0.5 * 0.25,
        "body.batch_norm1.weight": 0.1 * 0.5 * 3,
        "body.batch_norm1.bias": 0.1 * 2 * 0.5 * 0.25,
        "output.weight": 0.1,
        "output.bias": 0.1 * 2,
    }
    learning = what_learns(prepared.loaded, plan=prepared.plan)
    assert learning is not None
    [(label, text)] = in_words(learning, lr=0.1)
    assert label == "rates"
    assert text == "stem 0.025-0.075, body 0.0125-0.15, output 0.1-0.2"


WRONG = {
    "misspelt": ({"freeze": ["stme"]}, "'stme' matches no layer; did you mean 'stem'?", "- stme"),
    "without weights": (
        {"freeze": ["stem", "drop"]},
        "'drop' matches only layers without weights; layers with weights are stem, body, output, "
        "and those in them (`cnntrain summary`)",
        "- drop",
    ),
    "a weight": (
        {"freeze": ["output.bias"]},
        "'output.bias' matches single weights, but a layer is frozen as a whole; "
        "did you mean 'output'?",
        "- output.bias",
    ),
    "everything": (
        {"freeze": ["*"]},
        "all layers are frozen in the first epoch, so nothing would be trained; "
        "leave out the last one, 'output'",
        "- '*'",
    ),
    "unfreezing what is not there": (
        {"freeze": ["stem"], "unfreeze": {2: ["bdoy"]}},
        "'bdoy' matches no layer; did you mean 'body'?",
        "- bdoy",
    ),
    "unfreezing what learns": (
        {"freeze": ["stem"], "unfreeze": {2: ["body"]}},
        "'body' has no effect: none of it is frozen before epoch 2; remove it, or freeze it "
        "(finetune.freeze)",
        "- body",
    ),
    "unfreezing twice": (
        {"freeze": ["stem"], "unfreeze": {2: ["stem"], 3: ["stem.conv1"]}},
        "'stem.conv1' has no effect: none of it is frozen before epoch 3",
        "- stem.conv1",
    ),
    "a rate for nothing": (
        {"lr_scale": {"stemm": 0.1}},
        "'stemm' matches no layer with weights; did you mean 'stem'?",
        "stemm: 0.1",
    ),
    "a rate for what stands still": (
        {"freeze": ["stem"], "lr_scale": {"stem.conv1": 0.1}},
        "'stem.conv1' has no effect: everything it matches is frozen; remove it, or do not "
        "freeze it",
        "stem.conv1: 0.1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_obeyed_is_told_at_its_line(finetune: RunFile, name: str) -> None:
    section, message, line = WRONG[name]
    file = finetune(section)
    with pytest.raises(ConfigError) as caught:
        prepare(load(file))
    text = str(caught.value)
    assert message in text
    number = next(i for i, t in enumerate(file.read_text().splitlines(), 1) if t.strip() == line)
    assert f"{file}:{number}:" in text


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ("boddy", "the group pattern 'boddy' matches no parameter; did you mean 'body'?"),
        ("stem*", "the group 'stem*' has no effect: everything it matches is frozen"),
    ],
)
def test_groups_of_the_optimizer_are_told_at_their_line(
    finetune: RunFile, names: str, message: str
) -> None:
    groups = [{"names": "body", "lr_factor": 0.1}, {"names": names, "lr_factor": 0.5}]
    optimizer = {"name": "sgd", "lr": 0.1, "groups": groups}
    file = finetune({"freeze": ["stem"]}, {"train.optimizer": optimizer})
    with pytest.raises(ConfigError) as caught:
        prepare(load(file))
    lines = file.read_text().splitlines()
    number = next(i for i, text in enumerate(lines, 1) if text.strip() == f"- names: {names}")
    assert str(caught.value).startswith(f"{file}:{number}:")
    assert message in str(caught.value)


def test_all_wrong_patterns_are_told_at_once(finetune: RunFile) -> None:
    file = finetune({"freeze": ["a", "b"], "lr_scale": {"c": 1.0}})
    with pytest.raises(ConfigError) as caught:
        prepare(load(file))
    assert len(caught.value.problems) == 3


def test_the_folder_tells_what_stood_still(
    finetune: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """plan.txt and plan.json of the run tell what stood still."""
    section = {"freeze": ["stem"], "unfreeze": {2: ["stem"]}}
    changes = {"train.epochs": 2, "record.tensorboard": True}
    train_tiny(finetune(section, changes), out=tmp_path / "run")
    plan = json.loads((tmp_path / "run" / "plan.json").read_text())
    assert plan["frozen_parameters"] == SIZES["stem"]
    text = (tmp_path / "run" / "plan.txt").read_text()
    assert f"of which {SIZES['stem']} are frozen in the first epoch" in text
