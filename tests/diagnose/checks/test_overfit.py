"""`overfit`: networks that can memorise images, and those that cannot."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.overfit import check_overfit
from cnntrain.diagnose.report import Report

Make = Callable[..., Any]
NAMES = ("a", "b", "c", "d")


def check(net: nn.Module, batch: Batch, *, steps: int = 200) -> Report:
    few = Batch(batch.images[:64], batch.targets[:64])
    return check_overfit(net=net, few=few, class_names=NAMES, overfit_steps=steps)


def faults(report: Report) -> list[str]:
    return [finding.fault for finding in report.findings]


def test_a_healthy_network_learns_them(convnet: Make, many: Batch) -> None:
    net = convnet(act2=nn.Sequential(nn.ReLU(), nn.Dropout(0.9)))
    report = check(net, many)
    assert report.verdict == "fine"
    assert report.numbers["wrong"] == 0


def test_even_random_labels_are_learnt(convnet: Make, many: Batch) -> None:
    targets = torch.randint(0, 4, (128,), generator=torch.Generator().manual_seed(0))
    net = convnet(fc1=nn.Linear(96, 64), output=nn.Linear(64, 4))
    assert check(net, Batch(many.images, targets)).verdict == "fine"


def test_equal_images_with_different_labels_are_shown(convnet: Make, many: Batch) -> None:
    images = many.images.clone()
    images[1] = images[0]  # of classes 0 and 1: one of them must be wrong
    report = check(convnet(), Batch(images, many.targets), steps=100)
    assert faults(report) == ["cannot_overfit"]
    assert report.verdict == "suspect"
    assert report.numbers["wrong"] == 1
    assert "1 of 64" in report.headline
    assert len(report.pictures) == 2


def test_a_network_without_a_gradient_learns_nothing(convnet: Make, many: Batch) -> None:
    net = convnet()
    for parameter in net.parameters():
        nn.init.zeros_(parameter)
    report = check(net, many, steps=40)
    assert faults(report) == ["cannot_overfit"]
    assert report.verdict == "fault"
    assert report.numbers["wrong"] == 48  # guessing one of four classes
    lines = report.pictures[0].figure.axes[0].lines
    widths = [line.get_linewidth() for line in lines]
    assert len(widths) == 3
    assert widths == sorted(widths, reverse=True)  # equal curves do not hide each other
    assert len(set(widths)) == 3
