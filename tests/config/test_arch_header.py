"""What the comments at the head of architectures say; their counts are tested with the plans."""

from __future__ import annotations

import pytest

from cnntrain.config import shipped
from cnntrain.config.arch_header import read_header

FILES = shipped.files(among="archs/")


@pytest.mark.parametrize(
    ("name", "title", "source", "torchvision"),
    [
        ("resnet50", "ResNet-50", "He et al. 2015", "resnet"),
        ("densenet121", "DenseNet-121", "Huang et al. 2017", "densenet"),
        ("efficientnet_b0", "EfficientNet-B0", "Tan, Le 2019", "efficientnet_b"),
        ("alexnet_torchvision", "AlexNet as in torchvision", "Krizhevsky 2014", "alexnet"),
        ("lenet1", "LeNet-1 as published", "LeCun et al. 1989", ""),
        ("alexnet_without_7", "AlexNet without layer 7 (fully connected), one of four ablations",
         "Fergus 2013", ""),
        ("googlenet_cifar", 'GoogLeNet for CIFAR, "Inception (small)"', "Zhang et al. 2017", ""),
        # what the header cites is not where the network is from
        ("alexnet_cifar", "AlexNet for CIFAR", "", ""),
        ("preact_resnet18", "Pre-activation ResNet-18 for CIFAR", "", ""),
        ("digits", "A small network for 8x8 digits", "", ""),
    ],
)  # fmt: skip
def test_what_is_read(name: str, title: str, source: str, torchvision: str) -> None:
    header = read_header(FILES[f"archs/{name}"])
    assert (header.title, header.source, header.torchvision) == (title, source, torchvision)


def test_most_have_a_source() -> None:
    """A header that is written in another way would silently lose it."""
    without = [name for name, file in FILES.items() if not read_header(file).source]
    assert len(FILES) > 100
    assert sorted(name.removeprefix("archs/") for name in without) == [
        *("alexnet_cifar", "bn_after_relu", "bn_before_relu", "conv_lenet300_v1"),
        *("conv_lenet300_v2", "conv_lenet300_v3", "digits", "lab_stack", "locally_connected"),
        *("preact_resnet18", "starter"),
    ]
