"""Losses against torch's own functions, or the papers' formulas written out in float64."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.core.choices import LOSSES
from cnntrain.core.target_forms import fits
from cnntrain.tasks.criterion import LossByClass
from cnntrain.tasks.losses.binary_cross_entropy import binary_cross_entropy
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.tasks.losses.focal import focal
from cnntrain.tasks.losses.hinge import hinge
from cnntrain.tasks.losses.huber import huber
from cnntrain.tasks.losses.poly1 import poly1

N, CLASSES = 9, 5
WEIGHTS = (0.1, 2.0, 1.0, 0.5, 3.0)
ALL = [
    (name, options)
    for name in LOSSES.names()
    if "classes" in fits(LOSSES.entry(name))
    for options in (
        {},
        *([{"class_weights": WEIGHTS}] if LOSSES.entry(name).parameter("class_weights") else []),
        *([{"form": "one_vs_rest", "squared": True}] if name == "hinge" else []),
        *([{"gamma": 0.5}] if name == "focal" else []),
    )
]


@pytest.fixture
def logits() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(N, CLASSES, generator=generator, dtype=torch.float64)


@pytest.fixture
def targets() -> Tensor:
    return torch.randint(0, CLASSES, (N,), generator=torch.Generator().manual_seed(1))


def value(loss: Any, logits: Tensor, targets: Tensor) -> float:
    return float(loss(logits, targets))


def test_losses_of_numbers_are_torchs(logits: Tensor) -> None:
    """mae and huber are torch's L1Loss and HuberLoss; mse has a half and the sum over outputs."""
    wanted = torch.randn(N, CLASSES, generator=torch.Generator().manual_seed(2)).double()
    whole = LOSSES.load("mae")()(logits, wanted), F.l1_loss(logits, wanted)
    assert whole[0].item() == pytest.approx(whole[1].item(), rel=1e-14)
    for delta in (0.5, 1.0, 3.0):
        theirs = F.huber_loss(logits, wanted, delta=delta)
        assert value(huber(delta=delta), logits, wanted) == pytest.approx(float(theirs), rel=1e-14)
    theirs = F.mse_loss(logits, wanted) * CLASSES / 2
    assert value(LOSSES.load("mse")(), logits, wanted) == pytest.approx(float(theirs), rel=1e-14)
    maps = logits.view(N, CLASSES, 1, 1).expand(N, CLASSES, 2, 3)  # of images, every value counts
    theirs = F.mse_loss(maps, torch.zeros_like(maps)) * CLASSES * 6 / 2
    assert value(LOSSES.load("mse")(), maps, torch.zeros_like(maps)) == pytest.approx(float(theirs))


def test_binary_cross_entropy_is_torchs(logits: Tensor, targets: Tensor) -> None:
    wanted = F.one_hot(targets, CLASSES).double()
    theirs = F.binary_cross_entropy_with_logits(logits, wanted, reduction="sum") / N
    assert value(binary_cross_entropy(), logits, targets) == pytest.approx(float(theirs), rel=1e-14)


@pytest.mark.parametrize("margin", [1.0, 0.3])
@pytest.mark.parametrize("squared", [False, True])
def test_crammer_singer_against_its_definition(
    margin: float, squared: bool, logits: Tensor, targets: Tensor
) -> None:
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        other = max(score for label, score in enumerate(row) if label != target)
        total += max(0.0, margin + other - row[target]) ** (2 if squared else 1)
    found = value(hinge(margin=margin, squared=squared), logits, targets)
    assert found == pytest.approx(total / N, rel=1e-14)


def test_of_two_classes_crammer_singer_is_torchs_multi_margin() -> None:
    """Weston and Watkins' sum over the other classes has one term then; torch divides by 2."""
    logits = torch.randn(20, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    targets = torch.arange(20) % 2
    theirs = 2 * F.multi_margin_loss(logits, targets)
    assert value(hinge(), logits, targets) == pytest.approx(float(theirs), rel=1e-14)


@pytest.mark.parametrize("squared", [False, True])
def test_one_vs_rest_is_a_machine_for_each_class(
    squared: bool, logits: Tensor, targets: Tensor
) -> None:
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        for label, score in enumerate(row):
            sign = 1.0 if label == target else -1.0
            total += max(0.0, 1.0 - sign * score) ** (2 if squared else 1)
    found = value(hinge(form="one_vs_rest", squared=squared), logits, targets)
    assert found == pytest.approx(total / N, rel=1e-14)


def test_equal_scores_are_short_by_the_margin() -> None:
    assert value(hinge(), torch.zeros(3, 4), torch.tensor([0, 1, 3])) == 1.0


@pytest.mark.parametrize("gamma", [0.5, 2.0, 5.0])
def test_focal_is_the_papers(gamma: float, logits: Tensor, targets: Tensor) -> None:
    """Lin et al. 2017, equation 5, with alpha of each class."""
    total = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        p = math.exp(row[target]) / sum(map(math.exp, row))
        total -= WEIGHTS[target] * (1 - p) ** gamma * math.log(p)
    weight = sum(WEIGHTS[target] for target in targets.tolist())
    found = value(focal(gamma=gamma, class_weights=WEIGHTS), logits, targets)
    assert found == pytest.approx(total / weight, rel=1e-6)  # the weights are float32


def test_focal_without_gamma_is_cross_entropy(logits: Tensor, targets: Tensor) -> None:
    theirs = float(F.cross_entropy(logits, targets))
    assert value(focal(gamma=0.0), logits, targets) == pytest.approx(theirs, rel=1e-14)


@pytest.mark.parametrize("epsilon", [1.0, -1.0, 2.5])
def test_poly1_is_the_papers(epsilon: float, logits: Tensor, targets: Tensor) -> None:
    """Leng et al. 2022, equation 6."""
    p = logits.softmax(dim=1).gather(1, targets[:, None]).squeeze(1)
    theirs = float((-p.log() + epsilon * (1 - p)).mean())
    assert value(poly1(epsilon=epsilon), logits, targets) == pytest.approx(theirs, rel=1e-13)


@pytest.mark.parametrize(("name", "options"), ALL)
def test_the_contract(name: str, options: dict[str, Any], logits: Tensor, targets: Tensor) -> None:
    """A finite mean with a right gradient; parts add up; one-hot shares are classes."""
    loss = LOSSES.load(name)(**options)
    leaf = logits.clone().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: loss(x, targets), (leaf,))
    whole = value(loss, logits, targets)
    shares = F.one_hot(targets, CLASSES).double()
    assert value(loss, logits, shares) == pytest.approx(whole, rel=1e-6)
    assert float(loss.weight(shares)) == pytest.approx(float(loss.weight(targets)))
    parts = sum(
        value(loss, logits[a:b], targets[a:b]) * float(loss.weight(targets[a:b]))
        for a, b in ((0, 4), (4, 5), (5, 9))
    )
    assert parts / float(loss.weight(targets)) == pytest.approx(whole, rel=1e-6)
    plain = LOSSES.load(name)(**{k: v for k, v in options.items() if k != "class_weights"})
    assert value(loss.plain(), logits, targets) == value(plain, logits, targets)
    assert value(loss.plain(weighted=True), logits, targets) == whole


@pytest.mark.parametrize(("name", "options"), ALL)
def test_shares_of_images(name: str, options: dict[str, Any], logits: Tensor) -> None:
    """0.3 of class 0 and 0.7 of class 1 cost what such shares of two images cost."""
    if name == "mse":
        pytest.skip("the squared distance to a mixed target is its own definition")
    loss = LOSSES.load(name)(**options)
    row = logits[:1]
    mixed = torch.tensor([[0.3, 0.7, 0.0, 0.0, 0.0]], dtype=torch.float64)
    total = weight = 0.0
    for label, share in ((0, 0.3), (1, 0.7)):
        target = torch.tensor([label])
        total += share * value(loss, row, target) * float(loss.weight(target))
        weight += share * float(loss.weight(target))
    assert value(loss, row, mixed) == pytest.approx(total / weight, rel=1e-6)


@pytest.mark.parametrize(("name", "options"), ALL)
def test_sure_answers_have_finite_gradients(name: str, options: dict[str, Any]) -> None:
    loss = LOSSES.load(name)(**options)
    leaf = torch.tensor([[60.0, -60, 0, 0, 0], [-60.0, 60, 0, 0, 0]], requires_grad=True)
    loss(leaf, torch.tensor([0, 0])).backward()
    assert leaf.grad is not None
    assert leaf.grad.isfinite().all()


def test_plain_of_smoothed_and_weighted(logits: Tensor, targets: Tensor) -> None:
    loss = CrossEntropy(label_smoothing=0.2, class_weights=WEIGHTS)
    sharp = CrossEntropy(class_weights=WEIGHTS)
    assert value(loss.plain(weighted=True), logits, targets) == value(sharp, logits, targets)
    assert value(loss.plain(), logits, targets) == value(CrossEntropy(), logits, targets)
    assert sharp.plain(weighted=True) is sharp
    assert isinstance(focal().plain(), LossByClass)


def test_the_cross_entropy_of_pixels_is_torchs() -> None:
    """Summed over the pixels; where a sigmoid has become 0 or 1 it stays finite."""
    draws = torch.Generator().manual_seed(0)
    outputs, targets = torch.rand(2, 5, 1, 3, 4, generator=draws, dtype=torch.float64)
    theirs = F.binary_cross_entropy(outputs, targets, reduction="sum") / 5
    ours = LOSSES.load("pixel_cross_entropy")()
    assert float(ours(outputs, targets)) == pytest.approx(float(theirs), rel=1e-12)
    ends = torch.tensor([[0.0, 1.0]])
    assert 30 < float(ours(1 - ends, ends)) < 40  # 2 ln 1e7 = 32.2
