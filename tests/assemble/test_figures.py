"""Figures of networks to choose from, against torchvision's own modules and what it publishes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torchvision
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnntrain.arch.plan import Plan
from cnntrain.assemble.build_network import plan_architecture
from cnntrain.assemble.figures import as_data, as_markdown, as_text, figures_of, legend
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.speed import ImagesPerSecond
from cnntrain.assemble.transfer.published_accuracy import Accuracy, published_accuracy
from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.core.document import parse_document, read_document

ARCHS = shipped.files(among="archs/")


def arch(name: str, **images: int) -> Plan:
    return plan_architecture(read_document(ARCHS[f"archs/{name}"]), **images)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "densenet121", "squeezenet1_1"])
def test_the_figures_are_those_of_torchvisions_module(
    name: str, saved_bytes: Callable[[nn.Module, Tensor], int]
) -> None:
    """For training: parameters, gradients, momentum, buffers, and what autograd saves."""
    batch = 3
    figures = figures_of(name, arch(name), batch=batch)
    with torch.device("meta"):
        model = torchvision.models.get_model(name, weights=None)
        images = torch.empty(batch, 3, 224, 224)
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model.eval()(images[:1])
    parameters = sum(weight.numel() for weight in model.parameters())
    buffers = sum(buffer.numel() for buffer in model.buffers())
    assert figures.quantities["parameters"] == parameters
    assert figures.quantities["multiply_adds"] == counter.get_total_flops() // 2
    expected = 4 * (3 * parameters + buffers) + saved_bytes(model, images)
    assert figures.training_bytes == expected


@pytest.mark.parametrize(
    ("name", "model"),
    [("resnet50", "resnet50"), ("vgg_d", "vgg16"), ("efficientnet_b1", "efficientnet_b1"),
     ("densenet121", "densenet121"), ("googlenet_torchvision", "googlenet")],
)  # fmt: skip
def test_the_accuracy_is_that_of_torchvisions_best_weights(name: str, model: str) -> None:
    members = list(torchvision.models.get_model_weights(model))
    scores = {w.name: w.meta["_metrics"]["ImageNet-1K"]["acc@1"] for w in members}
    best = max((name for name in scores if scores[name] > 0), key=lambda name: scores[name])
    found = published_accuracy(arch(name))
    assert found == Accuracy(pytest.approx(scores[best] / 100), "ImageNet", f"{model}/{best}")


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("resnet20", Accuracy(0.9125, "CIFAR-10", "paper")),
        ("lenet1", Accuracy(0.983, "MNIST", "paper")),
        ("starter", None),
        ("vgg_c", None),  # torchvision has none of column C
        ("conv_lenet300_stride", None),  # measured here
    ],
)
def test_the_papers_accuracy_or_none(name: str, published: Accuracy | None) -> None:
    assert published_accuracy(arch(name)) == published


def test_a_network_that_was_changed_has_no_published_accuracy() -> None:
    assert published_accuracy(arch("resnet20", num_classes=100)) is None
    assert published_accuracy(arch("resnet20", image_size=64)) is None
    text = ARCHS["archs/resnet20"].read_text("utf-8")
    wider = parse_document(text.replace("width: 16", "width: 32"), name="resnet20.yaml")
    assert published_accuracy(plan_architecture(wider)) is None
    for name, overrides, is_known in [
        ("resnet20_cifar10", [], True),
        ("resnet20_cifar10", ["vars.width=8"], False),
    ]:
        plan = plan_network(load(shipped.resolve(name), overrides))
        assert (published_accuracy(plan) is not None) is is_known, name


def table(speeds: Callable[[int], ImagesPerSecond | None]) -> list:
    names = ("lenet5", "resnet20")
    return [figures_of(name, arch(name), batch=16, speed=speeds(n)) for n, name in enumerate(names)]


def test_the_table_without_speeds() -> None:
    found = table(lambda _: None)
    lines = as_text(found).splitlines()
    assert lines[0].split() == [
        *("network", "images", "parameters", "multiply-adds", "memory", "top-1", "on,", "with")
    ]
    assert lines[2].split()[:6] == ["lenet5", "1x28x28", "61.7", "k", "417", "k"]
    words = "resnet20 3x32x32 270 k 40.6 M 27.4 MB 91.25 % CIFAR-10, paper"
    assert lines[3].split() == words.split()
    assert as_markdown(found).splitlines()[1] == "| :-- | :-- | --: | --: | --: | --: | :-- |"
    assert "images per second" not in legend(found, device="")
    assert "what 16 images leave" in legend(found, device="").replace("\n", " ")
    assert as_data(found)[0]["top1"] is None
    assert as_data(found)[1]["top1_of"] == "CIFAR-10, paper"


def test_speeds_are_compared_with_the_first() -> None:
    found = table(
        lambda n: ImagesPerSecond(100.0, 1000.0) if n == 0 else ImagesPerSecond(25.0, 333.0)
    )
    lines = as_text(found).splitlines()
    assert lines[2].split()[-6:] == ["100", "x", "1.00", "1,000", "x", "1.00"]
    assert lines[3].split()[-6:] == ["25.0", "x", "0.25", "333", "x", "0.33"]
    assert "16 images at once on a thing" in legend(found, device="a thing")
    assert as_data(found)[1]["training_images_per_second"] == 25.0
