"""What the comments at the head of architectures say; their counts are tested with the plans."""

from __future__ import annotations

import pytest

from cnntrain.config import shipped
from cnntrain.config.arch_header import read_header

FILES = shipped.files(among="archs/")


@pytest.mark.parametrize(
    ("name", "title", "source", "weights"),
    [
        ("resnet50", "ResNet-50", "He et al. 2015", "torchvision_resnet"),
        ("densenet121", "DenseNet-121", "Huang et al. 2017", "torchvision_densenet"),
        ("efficientnet_b0", "EfficientNet-B0", "Tan, Le 2019", "torchvision_efficientnet_b"),
        ("alexnet_torchvision", "AlexNet as in torchvision", "Krizhevsky 2014",
         "torchvision_alexnet"),
        ("lenet1", "LeNet-1 as published", "LeCun et al. 1989", ""),
        ("alexnet_without_7", "AlexNet without layer 7 (fully connected), one of four ablations",
         "Fergus 2013", ""),
        ("googlenet_cifar", 'GoogLeNet for CIFAR, "Inception (small)"', "Zhang et al. 2017", ""),
        ("mobilenet_v3_large_timm", "MobileNet V3-Large as in timm", "Howard et al. 2019",
         "timm_mobilenetv3_large"),
        # what the header cites is not where the network is from
        ("alexnet_cifar", "AlexNet for CIFAR", "", ""),
        ("preact_resnet18", "Pre-activation ResNet-18 for CIFAR", "", ""),
        ("digits", "A small network for 8x8 digits", "", ""),
    ],
)  # fmt: skip
def test_what_is_read(name: str, title: str, source: str, weights: str) -> None:
    header = read_header(FILES[f"archs/{name}"])
    assert (header.title, header.source, header.weights) == (title, source, weights)


def test_networks_with_published_weights_have_a_paper() -> None:
    """A header that is written in another way would silently lose it."""
    headers = {name: read_header(file) for name, file in FILES.items()}
    published = [name for name, header in headers.items() if header.weights]
    assert len(published) > 50
    assert [n for n in published if not headers[n].source] == []


@pytest.mark.parametrize(
    ("name", "top1", "test_set"),
    [
        ("all_cnn_c", 0.9092, "CIFAR-10"),
        ("stochastic_depth_resnet110", 0.9475, "CIFAR-10"),
        ("resnet20", 0.9125, "CIFAR-10"),
        ("lenet1", 0.983, "MNIST"),
        ("lenet300", 0.9695, "MNIST"),
        ("mobilenet_v2", 0.72, "ImageNet"),
        ("efficientnet_b0", 0.771, "ImageNet"),  # of the paper; not torchvision's, behind it
        ("conv_lenet300_stride", None, ""),  # measured, not published
        ("alexnet_without_3_4", None, ""),  # a drop
        ("multi_scale", None, ""),  # other images than those of the three well-known sets
        ("starter", None, ""),
    ],
)
def test_what_the_paper_reached(name: str, top1: float | None, test_set: str) -> None:
    header = read_header(FILES[f"archs/{name}"])
    assert (header.top1, header.test_set) == (top1, test_set)


def test_residual_networks_have_the_errors_of_their_papers_table_6() -> None:
    """He et al. 2015: the best of ResNet-110's five runs."""
    errors = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.43}
    for depth, error in errors.items():
        header = read_header(FILES[f"archs/resnet{depth}"])
        assert header.top1 == pytest.approx(1 - error / 100)
        assert header.test_set == "CIFAR-10"
