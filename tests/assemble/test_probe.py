"""A linear probe is training with all but the head frozen, with the features computed once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cnntrain.assemble import probe
from cnntrain.assemble.networks import make_network, plan_network
from cnntrain.assemble.prepare import prepare
from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError
from cnntrain.fit.fit import Outcome
from cnntrain.model.opening import open_model

Train = Callable[..., Outcome]
Differences = Callable[[Path, Path], list[str]]
RunFile = Callable[..., Path]

LAYERS: list[Any] = [
    {"conv": {"out": 6, "kernel": 3, "padding": "same"}},
    "batch_norm",
    "relu",
    "global_avg_pool",
    {"dropout": {"p": 0.5}},
    {"linear": {"out": "$num_classes"}, "as": "output"},
]
PREPARED = {"data.transforms": {"train": ["normalize"], "eval": ["normalize"]}}
OTHERS = ["conv1", "batch_norm1"]


@pytest.fixture
def tuned(run_file: RunFile, tmp_path: Path) -> RunFile:
    """`tuned({"probe": True}, {"train.epochs": 2})`: a run file with weights to load."""

    def write(
        section: dict[str, Any], changes: dict[str, Any] | None = None, layers: Any = LAYERS
    ) -> Path:
        arch = {"arch": {"layers": layers}}
        net = make_network(plan_network(load(run_file(arch, name="plain"))), seed=5)
        generator = torch.Generator().manual_seed(5)
        for name, buffer in net.named_buffers():  # statistics that are not those of a new network
            if name.endswith(("mean", "var")):
                buffer.uniform_(0.5, 1.5, generator=generator)
        torch.save(net.state_dict(), tmp_path / "weights.pt")
        whole = {"weights": {"file": "weights.pt"}, "head": "new", **section}
        return run_file({**arch, **PREPARED, "finetune": whole, **(changes or {})}, name="tuned")

    return write


def rows(run: Path, kind: str) -> list[dict[str, Any]]:
    text = (run / "metrics.jsonl").read_text()
    found = [json.loads(line) for line in text.splitlines()]
    return [row for row in found if row["type"] == kind]


def part(run: Path, name: str) -> dict[str, Tensor]:
    state = load_checkpoint(run / "checkpoints" / "last.pt")[name]
    assert isinstance(state, dict)
    return state


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"train.ema": {"decay": 0.9}, "train.clip_norm": 0.5, "data.sampling": "balanced"},
        {"train.optimizer": {"name": "adamw", "lr": 0.01}, "data.drop_last": True},
    ],
    ids=["plain", "average", "adamw"],
)
def test_the_same_as_training_with_all_else_frozen(
    tuned: RunFile, train_tiny: Train, tmp_path: Path, changes: dict[str, Any]
) -> None:
    """Dropout stands still with the layers; it has no weights, so `freeze` cannot name it."""
    layers = [layer for layer in LAYERS if layer != {"dropout": {"p": 0.5}}]
    train_tiny(tuned({"freeze": OTHERS}, changes, layers), out=tmp_path / "frozen")
    train_tiny(tuned({"probe": True}, changes), out=tmp_path / "probe")
    frozen, probed = (part(tmp_path / run, "model") for run in ("frozen", "probe"))
    start = torch.load(tmp_path / "weights.pt")
    for name, value in probed.items():
        torch.testing.assert_close(value, frozen[name], rtol=0, atol=1e-6)
        assert torch.equal(value, start[name]) is not name.startswith("output")
    for kind, keys in (
        ("epoch", ("train_loss", "train_error", "validation_loss", "validation_error")),
        ("evaluation", ("loss", "error")),
    ):
        ours, theirs = rows(tmp_path / "probe", kind), rows(tmp_path / "frozen", kind)
        assert len(ours) == len(theirs) > 0
        for mine, other in zip(ours, theirs, strict=True):
            assert [mine[key] for key in keys] == pytest.approx(
                [other[key] for key in keys], abs=1e-5
            )
    assert set(part(tmp_path / "probe", "optimizer")["buffers"]) == {"output.weight", "output.bias"}


def test_each_image_goes_through_the_network_once(
    tuned: RunFile,
    train_tiny: Train,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    counts: list[int] = []
    compute = probe._features

    def counting(images: Tensor, **keywords: Any) -> Tensor:
        counts.append(len(images))
        return compute(images, **keywords)

    monkeypatch.setattr(probe, "_features", counting)
    train_tiny(tuned({"probe": True}), out=tmp_path / "run", quiet=False)
    assert sum(counts) == 72 + 24
    said = capsys.readouterr().err
    assert "6 features of each of 72 training and 24 validation images were computed in" in said
    weights = 6 * 9 + 6 + 12
    assert f"{weights} of {weights + 21} weights are frozen" in said


@pytest.mark.parametrize("stop", [5, 7])
def test_resumed_bit_for_bit(
    tuned: RunFile, train_tiny: Train, differences: Differences, tmp_path: Path, stop: int
) -> None:
    """The features come from the checkpoint's weights: the file of weights is gone."""
    file = tuned({"probe": True}, {"train.ema": {"decay": 0.9}})
    train_tiny(file, out=tmp_path / "whole")
    train_tiny(file, out=tmp_path / "parts", stop=stop)
    (tmp_path / "weights.pt").unlink()
    train_tiny(resumed=tmp_path / "parts")
    for name in ("last.pt", "best.pt"):
        whole, parts = (tmp_path / run / "checkpoints" / name for run in ("whole", "parts"))
        assert differences(whole, parts) == []


def test_what_is_saved_is_the_whole_network(
    tuned: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """Evaluated from the images, it gives what was logged while training on features."""
    outcome = train_tiny(tuned({"probe": True}), out=tmp_path / "run")
    logged = rows(tmp_path / "run", "epoch")[-1]
    last = tmp_path / "run" / "checkpoints" / "last.pt"
    found = open_model(last).evaluate("validation").metrics
    assert (found.loss, found.error) == (logged["validation_loss"], logged["validation_error"])
    assert outcome.test is not None
    assert outcome.test.images == 30


@pytest.mark.parametrize("accumulate", [1, 3])
def test_tensorboard_and_parts_of_a_batch(
    tuned: RunFile, train_tiny: Train, tmp_path: Path, accumulate: int
) -> None:
    changes = {
        "record.tensorboard": True,
        "train.accumulate": accumulate,
        "train.epochs": 1,
        "compute.precision": "bfloat16",
    }
    assert train_tiny(tuned({"probe": True}, changes), out=tmp_path / "run").exit_code == 0


WRONG: dict[str, tuple[list[Any], str]] = {
    "not linear": (
        [*LAYERS, "relu"],
        "a probe needs a network whose last layer is linear, and 'relu2' is not; "
        "use finetune.freeze instead",
    ),
    "two layers that depend on the classes": (
        [*LAYERS[:-1], {"linear": {"out": "$num_classes * 2"}}, *LAYERS[-1:]],
        "a probe trains the last layer, 'output', but the shape of 'linear1.bias' depends on the "
        "number of classes, too",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_networks_that_cannot_be_probed(tuned: RunFile, name: str) -> None:
    layers, message = WRONG[name]
    file = tuned({"probe": True}, layers=layers)
    with pytest.raises(ConfigError) as caught:
        prepare(load(file))
    line = next(i for i, t in enumerate(file.read_text().splitlines(), 1) if "probe:" in t)
    assert message in str(caught.value)
    assert f"{file}:{line}:" in str(caught.value)
