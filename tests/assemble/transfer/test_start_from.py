"""Starting from weights: torchvision's networks and runs of our own are the oracles."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from cnntrain.assemble.networks import head_names, make_network, plan_network
from cnntrain.assemble.prepare import prepare
from cnntrain.assemble.transfer.sources import read_source
from cnntrain.assemble.transfer.start_from import Start, start_from
from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.config.load import load
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import CheckpointError, ConfigError

CLASSES = tuple(f"class{number}" for number in range(10))
SYNTHETIC = {"name": "synthetic", "size": 32, "channels": 3, "classes": 10, "images": 20}
TRAIN = {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}}


@pytest.fixture(scope="module")
def resnet18() -> nn.Module:
    """torchvision's, for ten classes, with random weights and running averages."""
    torch.manual_seed(0)
    model: nn.Module = torchvision.models.resnet18(num_classes=10)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_var is not None
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval()


@pytest.fixture
def start(tmp_path: Path, run_file: Callable[..., Path]) -> Callable[..., tuple[nn.Module, Start]]:
    """`start(weights, {"finetune.head": "new"})`: ResNet-18 with those weights from a file."""

    def from_weights(
        weights: dict[str, Tensor], changes: dict[str, Any] | None = None, *, whole: bool = False
    ) -> tuple[nn.Module, Start]:
        torch.save(weights, tmp_path / "resnet18.pth")
        loaded = load(run_file(copy.deepcopy({**RESNET18, **(changes or {})})))
        return put(loaded, classes=CLASSES[: loaded.config.data.parameters["classes"]], whole=whole)

    return from_weights


RESNET18 = {
    "arch": "archs/resnet18.yaml",
    "data": SYNTHETIC,
    "train": TRAIN,
    "finetune.weights": {"file": "resnet18.pth", "rename": "weights/torchvision_resnet.yaml"},
}


def put(loaded: Loaded, *, classes: Sequence[str], whole: bool = False) -> tuple[nn.Module, Start]:
    plan = plan_network(loaded, num_classes=len(classes))
    net = make_network(plan, seed=0)
    source = read_source(loaded)
    return net, start_from(source, net, loaded=loaded, plan=plan, classes=classes, whole=whole)


def test_a_network_of_torchvision(resnet18: nn.Module, start: Callable[..., Any]) -> None:
    net, found = start(dict(resnet18.state_dict()))
    assert len(found.loaded) == len(resnet18.state_dict()) == 122
    assert (found.new, found.missing, found.left_over, found.skipped) == ((), (), (), {})
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        assert torch.equal(net.eval()(images), resnet18(images))


def test_another_number_of_classes(resnet18: nn.Module, start: Callable[..., Any]) -> None:
    net, found = start(dict(resnet18.state_dict()), {"data.classes": 3})
    assert found.new == ("fc.weight", "fc.bias")
    assert found.skipped == {"fc.weight": (10, 512), "fc.bias": (10,)}
    assert (found.missing, found.left_over, len(found.loaded)) == ((), (), 120)
    assert tuple(net.fc.weight.shape) == (3, 512)
    table = dict(found.rows())
    assert table["  new"] == "fc.weight, fc.bias (the head)"
    assert table["  skipped"] == "fc.weight is 10x512 there, fc.bias is 10 there"
    assert table["  loaded"] == "120 of 122 tensors"


def test_a_new_head_has_the_initial_weights_of_its_seed(
    resnet18: nn.Module, start: Callable[..., Any], run_file: Callable[..., Path]
) -> None:
    net, found = start(dict(resnet18.state_dict()), {"finetune.head": "new"})
    fresh = make_network(plan_network(load(run_file(copy.deepcopy(RESNET18)))), seed=0)
    assert found.new == ("fc.weight", "fc.bias")
    assert torch.equal(net.fc.weight, fresh.fc.weight)
    assert torch.equal(net.fc.bias, fresh.fc.bias)
    assert torch.equal(net.conv1.conv1.weight, resnet18.conv1.weight)


def test_a_kept_head_is_said_where_nobody_knows_its_classes(
    resnet18: nn.Module, start: Callable[..., Any]
) -> None:
    for head, says in (("auto", True), ("keep", False)):
        _, found = start(dict(resnet18.state_dict()), {"finetune.head": head})
        assert found.new == ()
        assert any("the head is kept" in note for note in found.notes) is says


def test_a_layer_of_another_name_is_named(resnet18: nn.Module, start: Callable[..., Any]) -> None:
    weights = dict(resnet18.state_dict())
    weights["layer2.0.konv1.weight"] = weights.pop("layer2.0.conv1.weight")
    _, found = start(weights)
    ours = "conv3_x.block1.residual1.body.conv_bn1.conv1.weight"
    assert found.missing == (ours,)
    assert found.left_over == ("layer2.0.konv1.weight",)
    [note] = [note for note in found.notes if ours in note]
    assert "'layer2.0.conv1.weight' there" in note
    assert "is it 'layer2.0.konv1.weight' there?" in note
    table = dict(found.rows())
    assert table["  missing"] == ours
    assert table["  unused"] == "layer2.0.konv1.weight"


def test_what_stands_still_must_be_loaded(first: Path, run_file: Callable[..., Path]) -> None:
    weights: Any = load_checkpoint(first / "checkpoints" / "best.pt")["model"]
    del weights["batch_norm1.running_var"]
    torch.save(weights, "weights.pth")
    given = {"weights": {"file": "weights.pth"}, "least_loaded": 0.5}
    prepare(load(run_file({"finetune": {**given, "freeze": ["conv1"]}})))
    file = run_file({"finetune": {**given, "freeze": ["batch_norm1"]}})
    with pytest.raises(CheckpointError, match=r"batch_norm1\.running_var is not in") as caught:
        prepare(load(file))
    assert caught.value.problems[0].place is not None


def test_too_many_other_names_are_refused(resnet18: nn.Module, start: Callable[..., Any]) -> None:
    """40 % of the names are wrong; counters of batch normalisation are not weights."""
    weights = dict(resnet18.state_dict())
    spoilt = {f"x{name}" if i % 5 < 2 else name: v for i, (name, v) in enumerate(weights.items())}
    body = [name for name in weights if "num_batches" not in name and not name.startswith("fc.")]
    count = sum(name in spoilt for name in body)
    with pytest.raises(CheckpointError) as caught:
        start(spoilt)
    says = str(caught.value)
    assert f"has {count} of the {len(body)} weights of the network" in says
    assert "at least 90% are needed" in says
    assert "conv1.conv1.weight" in says
    assert "xconv1.weight" in says
    assert caught.value.problems[0].place is not None
    _, found = start(spoilt, {"finetune.least_loaded": 0.3})
    assert len(found.missing) == len(body) - count


def test_a_map_that_fits_is_named(resnet18: nn.Module, start: Callable[..., Any]) -> None:
    with pytest.raises(CheckpointError, match=r"rename: weights/torchvision_resnet\.yaml"):
        start(dict(resnet18.state_dict()), {"finetune.weights": {"file": "resnet18.pth"}})


def test_another_width_is_refused(run_file: Callable[..., Path], tmp_path: Path) -> None:
    weights = {"conv1.weight": torch.zeros(4, 1, 5, 5), "conv1.bias": torch.zeros(4)}
    torch.save(weights, tmp_path / "weights.pth")
    loaded = load(run_file({"finetune": {"weights": {"file": "weights.pth"}}}))
    with pytest.raises(CheckpointError) as caught:
        put(loaded, classes=CLASSES[:3])
    assert "conv1.weight is 4x1x5x5 there and 4x1x3x3 here" in str(caught.value)
    assert caught.value.problems[0].place is not None


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda value: value * float("nan"), "is not finite"),
        (lambda value: value.to(torch.int8), "is int8, which is not a weight"),
    ],
)
def test_values_that_are_no_weights(
    resnet18: nn.Module, start: Callable[..., Any], spoil: Callable[[Tensor], Tensor], says: str
) -> None:
    weights = dict(resnet18.state_dict())
    weights["layer1.0.conv1.weight"] = spoil(weights["layer1.0.conv1.weight"])
    with pytest.raises(CheckpointError, match=says):
        start(weights)


def test_half_precision_is_made_whole(resnet18: nn.Module, start: Callable[..., Any]) -> None:
    half = {name: v.half() if v.dim() else v for name, v in resnet18.state_dict().items()}
    net, _ = start(half)
    assert net.conv1.conv1.weight.dtype == torch.float32
    assert torch.equal(net.conv1.conv1.weight, half["conv1.weight"].float())


def test_a_head_to_keep_must_fit(resnet18: nn.Module, start: Callable[..., Any]) -> None:
    weights = dict(resnet18.state_dict())
    changes = {"finetune.head": "keep", "data.classes": 3}
    with pytest.raises(ConfigError, match=r"fc\.weight is 10x512 there and 3x512 here") as caught:
        start(weights, changes)
    assert "head: keep" in str(caught.value)
    del weights["fc.bias"]
    with pytest.raises(ConfigError, match=r"fc\.bias is not there"):
        start(weights, {"finetune.head": "keep"})
    with pytest.raises(ConfigError, match=r"fc\.bias is not there"):
        start(weights, whole=True)
    assert start(weights)[1].new == ("fc.weight", "fc.bias")  # a whole new one, not half of one


def test_the_head_is_what_depends_on_the_classes(run_file: Callable[..., Path]) -> None:
    def head(arch: Any) -> set[str]:
        loaded = load(run_file({"arch": arch}))
        return set(head_names(loaded, plan_network(loaded)))

    body = [{"conv": {"out": 4, "kernel": 3}}, "global_avg_pool"]
    last = {"linear": {"out": "$num_classes"}, "as": "last"}
    aux = [{"from": "conv1", "layers": ["flatten", {"linear": {"out": 5}}, last]}]
    assert head({"layers": [*body, last]}) == {"last.weight", "last.bias"}
    wide = [*body, {"linear": {"out": "$num_classes * 2"}}, last]
    assert head({"layers": wide}) == {"linear1.weight", "linear1.bias", "last.weight", "last.bias"}
    with_aux = {"last.weight", "last.bias", "aux1.last.weight", "aux1.last.bias"}
    assert head({"layers": [*body, last], "aux": aux}) == with_aux
    with pytest.raises(ConfigError, match=r"write \$num_classes"):
        head({"layers": [*body, {"linear": {"out": 3}}]})


@pytest.fixture
def first(run_file: Callable[..., Path], train_tiny: Callable[..., Any]) -> Path:
    """A run of two epochs, evaluated with averaged weights."""
    changes = {"train.epochs": 2, "train.ema": {"decay": 0.5}}
    found: Path = train_tiny(run_file(changes, name="first")).run.path
    return found


def second(run_file: Callable[..., Path], changes: dict[str, Any] | None = None) -> Path:
    given = {"finetune": {"weights": {"run": "runs/first"}}, "data.transforms": {}, "seed": 7}
    return run_file({**given, **(changes or {})}, name="second")


def test_a_run_starts_from_another(first: Path, run_file: Callable[..., Path]) -> None:
    best = load_checkpoint(first / "checkpoints" / "best.pt")
    averaged: Any = best["ema"]
    prepared = prepare(load(second(run_file)))
    assert prepared.start is not None
    assert prepared.start.new == ()
    for name, value in prepared.learner.model.state_dict().items():
        assert torch.equal(value, averaged[name]), name
    # its images are prepared as they were in the first run
    transforms: Any = best["transforms"]
    assert [dict(step) for step in prepared.data.eval_pipeline] == transforms["eval"]
    assert prepared.data.train_pipeline == prepared.data.eval_pipeline


def test_a_transform_that_is_not_known_here(first: Path, run_file: Callable[..., Path]) -> None:
    path = first / "checkpoints" / "best.pt"
    state = load_checkpoint(path)
    state["transforms"] = {"eval": [{"name": "swirl"}]}
    save(path, state)
    with pytest.raises(ConfigError, match="with 'swirl', which is not known here") as caught:
        prepare(load(second(run_file)))
    assert caught.value.problems[0].place is not None


@pytest.mark.parametrize("classes", ["others", "another order"])
def test_a_head_for_other_classes_is_new(
    first: Path, run_file: Callable[..., Path], classes: str
) -> None:
    loaded = load(second(run_file, {"data.classes": 3 + (classes == "others")}))
    names = CLASSES[:4] if classes == "others" else ("class1", "class0", "class2")
    _, found = put(loaded, classes=names)
    assert found.new == ("output.weight", "output.bias")


def test_training_from_weights_leaves_its_table(
    first: Path,
    run_file: Callable[..., Path],
    train_tiny: Callable[..., Any],
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = second(run_file, {"data.classes": 4, "train.epochs": 1})
    run = train_tiny(file, quiet=False).run
    written = json.loads((run.path / "weights.json").read_text())
    assert written["new"] == ["output.weight", "output.bias"]
    assert written["skipped"]["output.bias"] == [3]
    assert len(written["loaded"]) == 7  # convolution 2, batch normalisation 5
    lines = [line.split(maxsplit=1) for line in capsys.readouterr().err.splitlines()]
    assert ["loaded", "7 of 9 tensors"] in lines
    assert ["new", "output.weight, output.bias (the head)"] in lines
    assert ["missing", "none"] in lines


def test_a_run_goes_on_when_its_weights_are_gone(
    first: Path,
    run_file: Callable[..., Path],
    train_tiny: Callable[..., Any],
    differences: Callable[[Path, Path], list[str]],
    tmp_path: Path,
) -> None:
    file = second(run_file)
    whole = train_tiny(file, out=tmp_path / "whole")
    train_tiny(file, out=tmp_path / "parts", stop=7)
    shutil.rmtree(first.parent)
    train_tiny(resumed=tmp_path / "parts")
    last = Path("checkpoints") / "last.pt"
    assert differences(whole.run.path / last, tmp_path / "parts" / last) == []


def test_a_missing_file_is_told_at_its_line(run_file: Callable[..., Path]) -> None:
    file = run_file({"finetune": {"weights": {"file": "nowhere.pth"}}})
    with pytest.raises(CheckpointError, match=r"nowhere\.pth does not exist") as caught:
        prepare(load(file))
    place = caught.value.problems[0].place
    assert place is not None
    assert "nowhere.pth" in place.source


def test_numbers_that_nobody_knows_are_said(
    run_file: Callable[..., Path], tmp_path: Path, first: Path
) -> None:
    weights: Any = load_checkpoint(first / "checkpoints" / "best.pt")["model"]
    torch.save(weights, tmp_path / "weights.pth")
    prepared = prepare(load(run_file({"finetune": {"weights": {"file": "weights.pth"}}})))
    assert prepared.start is not None
    assert any("training set's statistics" in note for note in prepared.start.notes)
    known = {"normalize": {"mean": [0.5], "std": [0.25]}}
    said = {"data.transforms": {"eval": [known]}, "finetune": {"weights": {"file": "weights.pth"}}}
    prepared = prepare(load(run_file(said)))
    assert prepared.start is not None
    assert not any("statistics" in note for note in prepared.start.notes)
    assert prepared.data.train_pipeline[0]["mean"] == [0.5]  # training images too


def test_images_are_whitened_as_they_were_for_the_weights(
    run_file: Callable[..., Path], train_tiny: Callable[..., Any], tmp_path: Path
) -> None:
    """The matrix of the first run, although the images are others now: unless epsilon differs."""
    zca = {split: ["zca"] for split in ("train", "eval")}
    whitened = {"data.transforms": zca, "train.epochs": 1}
    train_tiny(run_file(whitened), out=tmp_path / "first")
    own = {"data.pattern_seed": 1, "finetune": {"weights": {"run": str(tmp_path / "first")}}}
    first = prepare(load(run_file(whitened))).data.eval_pipeline
    for given in ({}, zca):
        prepared = prepare(load(run_file({**own, "data.transforms": given})))
        assert prepared.data.eval_pipeline == prepared.data.train_pipeline == first
        assert not any("whitened" in note for note in prepared.start.notes)
    other = {split: [{"zca": {"epsilon": 0.1}}] for split in ("train", "eval")}
    prepared = prepare(load(run_file({**own, "data.transforms": other})))
    assert prepared.data.eval_pipeline[0]["learnt"] != first[0]["learnt"]
    [note] = prepared.start.notes
    assert "whitened with epsilon 0.1, but for these weights they were whitened with" in note
    file = run_file({**own, "data.transforms": {}, "train.epochs": 1})
    again = train_tiny(file, out=tmp_path / "second")
    assert load(again.run.config).config.data.transforms.eval[0].parameters == {
        key: value for key, value in first[0].items() if key != "name"
    }
