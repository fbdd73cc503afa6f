"""Which model of torchvision a network is; its own models, loaded strictly, are the oracle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision

from cnntrain.arch.network import Network
from cnntrain.core.errors import UsageError
from cnntrain.data.pipeline import build_eval_pipeline
from cnntrain.export.reference import make_reference
from cnntrain.export.weights import find_twin, save_torchvision

MakeNet = Callable[..., Network]
CONFIGS = Path(__file__).parents[2] / "configs"


def arch(name: str) -> str:
    return (CONFIGS / "archs" / f"{name}.yaml").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("alexnet_torchvision", "alexnet"),
        ("vgg_a", "vgg11"),
        ("vgg_d_bn", "vgg16_bn"),
        ("densenet169", "densenet169"),
        ("resnet50", "resnet50"),
        ("resnext50_32x4d", "resnext50_32x4d"),
        ("wide_resnet101_2", "wide_resnet101_2"),
        ("mobilenet_v3_small", "mobilenet_v3_small"),
        ("mnasnet0_75", "mnasnet0_75"),
        ("efficientnet_b1", "efficientnet_b1"),
        ("regnet_y_400mf", "regnet_y_400mf"),
        ("convnext_small", "convnext_small"),
        ("shufflenet_v2_x0_5", "shufflenet_v2_x0_5"),
        ("squeezenet1_1", "squeezenet1_1"),
    ],
)
def test_a_network_is_recognised_by_its_weights(network: MakeNet, name: str, model: str) -> None:
    net = network(arch(name), classes=7, shape=(3, 224, 224), device="meta")
    twin = find_twin(net, num_classes=7)
    assert twin.call == f"torchvision.models.{model}(num_classes=7)"


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("resnet18", "torchvision.models.resnet18(num_classes=2)"),
        ("googlenet_torchvision", "torchvision.models.googlenet(num_classes=2, aux_logits=True)"),
    ],
)
def test_its_model_loads_the_file_and_gives_the_same_logits(
    network: MakeNet, tmp_path: Path, name: str, call: str
) -> None:
    net = network(arch(name), classes=2, shape=(3, 64, 64))
    twin = find_twin(net, num_classes=2)
    assert twin.call == call
    reference = make_reference(net, in_shape=(3, 64, 64), pipeline=build_eval_pipeline([]))
    path = tmp_path / "net.pth"
    assert save_torchvision(twin, path, reference=reference) == 0.0
    options = {"aux_logits": True, "init_weights": False} if "googlenet" in name else {}
    model = torchvision.models.get_model(twin.name, num_classes=2, **options)
    model.load_state_dict(torch.load(path, weights_only=True), strict=True)
    assert reference.logits.std() > 0
    with torch.inference_mode():  # both on all images at once: the size of a batch changes rounding
        assert torch.equal(model.eval()(reference.images), net.eval()(reference.images))


def test_the_same_weights_in_another_network_are_refused(network: MakeNet, tmp_path: Path) -> None:
    text = arch("resnet18")
    assert text.count("    layers:\n      - residual:") == 1
    net = network(text.replace("}}, relu, {", "}}, tanh, {"), classes=2, shape=(3, 32, 32))
    twin = find_twin(net, num_classes=2)
    reference = make_reference(net, in_shape=(3, 32, 32), pipeline=build_eval_pipeline([]))
    with pytest.raises(UsageError, match="resnet18 has these weights, but computes something else"):
        save_torchvision(twin, tmp_path / "net.pth", reference=reference)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "channels", "message"),
    [
        ("resnet20", 3, "this network; "),
        (
            "resnet18",
            1,
            r"the nearest, resnet18 has conv1\.weight of \(64, 3, 7, 7\), not \(64, 1,",
        ),
    ],
)
def test_what_torchvision_does_not_have(
    network: MakeNet, name: str, channels: int, message: str
) -> None:
    net = network(arch(name), shape=(channels, 32, 32), device="meta")
    with pytest.raises(UsageError, match="torchvision has no model") as caught:
        find_twin(net, num_classes=3)
    assert caught.match(message)
