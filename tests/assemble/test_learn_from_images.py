"""Layers that compute their weights from the images: from which, when, and when not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.assemble.learn_from_images import learn_from_images
from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.data.batch import Batching
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.resident import ResidentLoader
from cnntrain.data.share import WHOLE
from cnntrain.data.splits import Pixels
from cnntrain.fit.fit import Outcome
from cnntrain.layers.whiten import Whiten
from cnntrain.model.opening import open_model
from cnntrain.train.together import ALONE, Processes

RunFile = Callable[..., Path]
Train = Callable[..., Outcome]

ARCH = {
    "layers": [
        {"whiten": {"kernel": 2}},
        "relu",
        {"conv": {"out": 4, "kernel": 3}},
        {"whiten": {"kernel": 1, "bias": False}},
        "flatten",
        {"linear": {"out": "$num_classes"}},
    ]
}


def weights(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items() if "whiten" in name}


def test_each_layer_learns_from_what_it_reads_of_the_first_epoch(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnntrain.assemble.learn_from_images.IMAGES", 30)
    prepared = prepare(load(run_file({"arch": ARCH, "data.batch_size": 16})))
    net = prepared.learner.model.eval()
    images = torch.cat([batch.images for batch in prepared.data.train.batches(1)])[:30]
    first = Whiten(in_shape=tuple(images.shape[1:]))
    first.learn_from(images)
    assert torch.equal(net.whiten1.weight, first.weight)
    read = net.conv1(net.relu1(net.whiten1(images))).detach()
    second = Whiten(in_shape=tuple(read.shape[1:]), kernel=1, bias=False)
    second.learn_from(read)
    torch.testing.assert_close(net.whiten2.weight, second.weight, rtol=1e-4, atol=1e-5)


def test_training_leaves_them_and_a_resumed_run_has_those_of_its_checkpoint(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    file = run_file({"arch": ARCH, "train.epochs": 2})
    whole = train_tiny(file, out=tmp_path / "whole")
    train_tiny(file, out=tmp_path / "run", stop=3)
    resumed = train_tiny(resumed=tmp_path / "run")
    nets = [open_model(outcome.run.path).net for outcome in (whole, resumed)]
    assert torch.equal(*(net.whiten1.weight for net in nets))
    assert torch.equal(*(net.conv1.weight for net in nets))


def test_weights_that_are_given_are_not_computed_again(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    run = train_tiny(run_file({"arch": ARCH, "train.epochs": 1}), out=tmp_path / "run").run.path
    given = {"finetune": {"weights": {"run": str(run)}}, "seed": 9}
    prepared = prepare(load(run_file({"arch": ARCH, **given}, name="finetune")))
    assert prepared.start is not None
    theirs = torch.load(run / "checkpoints/best.pt", weights_only=True)["model"]
    for name, value in weights(prepared.learner.model).items():
        assert torch.equal(value, theirs[name])


def pixels() -> Pixels:
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (43, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return Pixels(images, torch.randint(0, 4, (43,), generator=generator))


def test_several_processes_learn_what_one_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shares of two processes, run one after the other; their sum is made by hand."""
    pipeline = build_pipeline([{"name": "horizontal_flip", "alternate": True}])
    how = Batching(10, shuffle=True, seed=7)

    def learn(processes: Processes) -> Tensor:
        share = replace(WHOLE, index=processes.index, count=processes.count)
        loader = ResidentLoader(pixels(), pipeline=pipeline, batching=replace(how, share=share))
        net = nn.Sequential(Whiten(in_shape=(3, 8, 8)))
        learn_from_images(net, loader, processes=processes)
        return net[0].weight.clone()

    alone = learn(ALONE)
    handed: list[Tensor] = []

    def keep(_: Processes, values: Tensor) -> Tensor:
        handed.append(values.clone())
        return values

    monkeypatch.setattr(Processes, "total", keep)
    learn(Processes(1, 2))
    others = iter(list(handed))
    monkeypatch.setattr(Processes, "total", lambda _, values: values + next(others))
    assert torch.equal(learn(Processes(0, 2)), alone)


def test_a_layer_of_ones_own(run_file: RunFile, tmp_path: Path) -> None:
    plugin = tmp_path / "centred.py"
    plugin.write_text(
        "import torch\nfrom torch import nn\nfrom cnntrain.layers import layer\n\n\n"
        "@layer('centred')\nclass Centred(nn.Module):\n"
        '    """Subtract the mean map of the training images."""\n\n'
        "    def __init__(self, *, in_shape: tuple[int, ...]) -> None:\n"
        "        super().__init__()\n"
        "        self.register_buffer('mean', torch.zeros(in_shape))\n\n"
        "    def forward(self, x):\n        return x - self.mean\n\n"
        "    def learn_from(self, inputs):\n        self.mean.copy_(inputs.mean(dim=0))\n"
    )
    layers: list[Any] = ["centred", "flatten", {"linear": {"out": "$num_classes"}}]
    file = run_file({"plugins": [str(plugin)], "arch": {"layers": layers}})
    prepared = prepare(load(file))
    images = torch.cat([batch.images for batch in prepared.data.train.batches(1)])
    torch.testing.assert_close(prepared.learner.model.centred1.mean, images.mean(dim=0))
