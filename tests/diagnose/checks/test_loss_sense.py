"""Losses that reward right answers, and such as do not: each with a mistake that people make."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.diagnose.loss_sense import wrong_loss
from cnntrain.tasks.criterion import MeanLoss
from cnntrain.tasks.losses.binary_cross_entropy import binary_cross_entropy
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.tasks.losses.focal import focal
from cnntrain.tasks.losses.poly1 import poly1

TARGETS = torch.arange(200) % 5


def said(criterion: Any, classes: int = 5) -> list[str]:
    return [each.headline for each in wrong_loss(criterion, TARGETS % classes, classes=classes)]


def hardest(outputs: Tensor, targets: Tensor) -> Tensor:
    """The mean of the worst quarter (Shrivastava et al. 2016)."""
    losses = F.cross_entropy(outputs, targets, reduction="none")
    return losses.topk(len(losses) // 4).values


def margin(outputs: Tensor, targets: Tensor) -> Tensor:
    """An angular margin of half a radian (Deng et al. 2019)."""
    hot = F.one_hot(targets, 5)
    angles = outputs.clamp(-0.9999, 0.9999).acos() + 0.5 * hot
    return F.cross_entropy(16 * angles.cos(), targets, reduction="none")


@pytest.mark.parametrize(
    "criterion",
    [
        CrossEntropy(),
        CrossEntropy(label_smoothing=0.9),
        focal(gamma=5.0),
        poly1(),
        binary_cross_entropy(),
        MeanLoss(hardest),
        MeanLoss(margin),
        MeanLoss(lambda x, y: F.cross_entropy(x / 1000, y) / 60000),
        MeanLoss(lambda x, y: F.multi_margin_loss(x, y, reduction="none")),
    ],
)
def test_a_sound_loss(criterion: Any) -> None:
    assert said(criterion) == []


def test_two_classes_are_enough() -> None:
    assert said(CrossEntropy(), classes=2) == []
    assert said(MeanLoss(lambda x, y: F.cross_entropy(x, 1 - y)), classes=2) == [WRONG_WAY]


WRONG_WAY = "the loss does not fall when the output of the right class rises"
NO_SLOPE = "the loss has no slope for most images of a batch"
NO_NUMBER = "the loss, or its slope, is not a number where the network is sure of a class"


class Behind:
    """Labels of the batch before."""

    def __init__(self) -> None:
        self.before: Tensor | None = None

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        before, self.before = self.before, targets
        return F.cross_entropy(outputs, targets if before is None else before)


def by_formula(outputs: Tensor, targets: Tensor) -> Tensor:
    """Binary cross entropy, in which a probability near 1 is rounded to 1."""
    right, p = F.one_hot(targets, 5).float(), outputs.sigmoid()
    return -(right * p.log() + (1 - right) * (1 - p).log()).sum(1).float()


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (lambda x, y: F.log_softmax(x, 1).gather(1, y[:, None])[:, 0], WRONG_WAY),
        (lambda x, y: F.cross_entropy(x, (y - 1) % 5), WRONG_WAY),
        (Behind(), WRONG_WAY),
        (lambda x, y: F.cross_entropy(x[:1], y[:1]), NO_SLOPE),
        (lambda x, y: -x.softmax(1).clamp(min=0.4).log().gather(1, y[:, None]), NO_SLOPE),
        (by_formula, NO_NUMBER),
        (lambda x, y: by_formula(x.half(), y), NO_NUMBER),
    ],
)
def test_a_loss_that_does_not_reward_right_answers(each: Any, expected: str) -> None:
    assert said(MeanLoss(each)) == [expected]


def test_what_has_no_slope_at_all_is_found_elsewhere() -> None:
    """As the gradient that reaches no layer."""
    assert said(MeanLoss(lambda x, _: x.detach().sum(1))) == []
