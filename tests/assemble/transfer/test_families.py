"""Fine-tuning from torchvision's weights, small networks of eight families, from files made here.

Its models with random weights stand where torchvision keeps the published ones.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import pytest
import torch
import torchvision

from cnntrain.assemble.networks import head_names, image_sizes
from cnntrain.assemble.prepare import prepare
from cnntrain.assemble.transfer.name_maps import map_of
from cnntrain.assemble.transfer.preprocessing import follow_weights, plain_steps
from cnntrain.assemble.transfer.torchvision_weights import find_published
from cnntrain.checkpoint.foreign import rename
from cnntrain.config.load import load
from cnntrain.core.patterns import covered
from cnntrain.fit.fit import Outcome
from cnntrain.model.opening import open_model

FAMILIES = {
    "efficientnet_b0": ["conv1", "stage1", "stage2"],
    "mnasnet0_5": ["conv[123]", "stage[123]"],
    "mobilenet_v2": ["conv1", "conv2", "conv3"],
    "mobilenet_v3_small": ["conv1", "bneck1", "bneck2"],
    "regnet_y_400mf": ["stem", "stage1"],
    "resnet18": ["conv1", "conv2_x"],
    "shufflenet_v2_x0_5": ["conv1", "stage2"],
    "squeezenet1_1": ["conv1", "fire2"],
}
"""A model, and the stages of ours that are frozen."""
QUICK = ("mobilenet_v3_small", "regnet_y_400mf", "squeezenet1_1")
DECAY = 0.8


def cached(model: str) -> dict[str, torch.Tensor]:
    """Random weights in the file that torchvision would download."""
    torch.manual_seed(0)
    draws = model.startswith(("vgg", "googlenet", "inception"))
    options: dict[str, Any] = {"init_weights": False} if draws else {}
    net = torchvision.models.get_model(model, weights=None, **options)
    path = find_published(f"{model}/IMAGENET1K_V1").path
    path.parent.mkdir(parents=True)
    torch.save(net.state_dict(), path)
    return dict(net.state_dict())


@pytest.mark.parametrize(
    "model",
    [pytest.param(m, marks=[] if m in QUICK else [pytest.mark.slow]) for m in FAMILIES],
)
def test_fine_tuning_by_one_key(
    model: str,
    run_file: Callable[..., Path],
    train_tiny: Callable[..., Outcome],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def offline(url: str, *_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    theirs = cached(model)
    published = find_published(f"{model}/IMAGENET1K_V1")
    data = {"name": "synthetic", "size": 40, "images": 8, "test_images": 4, "classes": 3}
    changes = {
        "arch": f"{published.arch}.yaml",
        "data": {**data, "batch_size": 4},
        "finetune": {"weights": {"torchvision": published.name}, "layer_decay": DECAY},
        "finetune.freeze": FAMILIES[model],
        "train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": 1e-3}},
    }

    loaded = follow_weights(load(run_file(changes)))
    assert plain_steps(loaded) == published.steps
    assert set(image_sizes(loaded).values()) == {(published.crop, published.crop)}

    side = 32
    small = [{"resize": {"size": [side, side]}}, "normalize"]
    file = run_file({**changes, "data.transforms": {"train": small, "eval": small}})
    prepared = prepare(load(file))
    start, plan = prepared.start, prepared.plan
    assert start is not None
    assert set(start.new) == head_names(prepared.loaded, plan)
    assert (start.missing, start.left_over) == ((), ())
    learning = prepared.learning
    stages = [node.name for node in plan.body.nodes if node.parameters]
    for name, share in learning.items():
        frozen = covered(FAMILIES[model], name)
        assert (share.from_epoch is None) is frozen
        if not frozen and (stage := name.split(".")[0]) in stages:
            distance = len(stages) - 1 - stages.index(stage)
            assert share.lr_factor == pytest.approx(DECAY**distance)

    tuned = open_model(train_tiny(file, out=tmp_path / "run").run.path)
    rules = map_of(model, "torchvision")
    assert rules is not None
    ours = rename(theirs, rules, reverse=True)
    moved = {n for n, v in tuned.net.state_dict().items() if not torch.equal(v, ours[n])}
    assert not any(covered(FAMILIES[model], name) for name in moved)
    learnt = {stage for stage in stages if not covered(FAMILIES[model], stage)}
    assert {name.split(".")[0] for name in moved} >= learnt
    normalize, mean = tuned.eval_steps[-1], published.steps[-1]["mean"]
    assert (normalize["name"], list(normalize["mean"])) == ("normalize", mean)
