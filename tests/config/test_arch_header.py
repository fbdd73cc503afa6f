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


def test_networks_with_published_weights_have_a_paper() -> None:
    """A header that is written in another way would silently lose it."""
    headers = {name: read_header(file) for name, file in FILES.items()}
    published = [name for name, header in headers.items() if header.torchvision]
    assert len(published) > 50
    assert [name for name in published if not headers[name].source] == []
