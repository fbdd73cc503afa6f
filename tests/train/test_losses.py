"""Losses of shares of classes (mixed images), against sums written out, and torch's of classes."""

import pytest
import torch
import torch.nn.functional as F

from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.tasks.losses.mse import mse
from cnntrain.train import TrainState

CLASSES = 5
WEIGHTS = torch.tensor([0.1, 2.0, 1.0, 0.5, 3.0])
CRITERIA = [
    CrossEntropy(),
    CrossEntropy(label_smoothing=0.2),
    CrossEntropy(class_weights=tuple(WEIGHTS.tolist())),
    CrossEntropy(label_smoothing=0.2, class_weights=tuple(WEIGHTS.tolist())),
    mse(),
]


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(7, CLASSES, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def pairs() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    first, second = torch.randint(0, CLASSES, (2, 7), generator=generator)
    return first, second


def mixed(first: torch.Tensor, second: torch.Tensor, share: float) -> torch.Tensor:
    return share * F.one_hot(first, CLASSES) + (1 - share) * F.one_hot(second, CLASSES)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_one_hot_shares_are_classes(criterion, logits, pairs) -> None:
    classes, _ = pairs
    shares = F.one_hot(classes, CLASSES).float()
    torch.testing.assert_close(criterion(logits, shares), criterion(logits, classes))
    assert float(criterion.weight(shares)) == pytest.approx(float(criterion.weight(classes)))


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["plain", "weighted"])
def test_cross_entropy_counts_shares_of_images(smoothing, weights, logits, pairs) -> None:
    """As a set in which each image stands twice, `share` and `1 - share` times."""
    first, second = pairs
    share, total, denominator = 0.3, 0.0, 0.0
    scale = torch.ones(CLASSES) if weights is None else weights
    for classes, part in ((first, share), (second, 1 - share)):
        each = F.cross_entropy(
            logits, classes, weight=weights, label_smoothing=smoothing, reduction="none"
        )
        total += part * float(each.double().sum())
        denominator += part * float(scale[classes].double().sum())
    criterion, targets = (
        CrossEntropy(
            label_smoothing=smoothing,
            class_weights=None if weights is None else tuple(weights.tolist()),
        ),
        mixed(first, second, share),
    )
    assert float(criterion(logits, targets)) == pytest.approx(total / denominator, rel=1e-5)
    assert float(criterion.weight(targets)) == pytest.approx(denominator, rel=1e-5)


def test_squared_error_is_to_the_mixed_target(logits, pairs) -> None:
    targets = mixed(*pairs, 0.3)
    total = sum(
        0.5 * (float(logits[n, c]) - float(targets[n, c])) ** 2
        for n in range(7)
        for c in range(CLASSES)
    )
    assert float(mse()(logits, targets)) == pytest.approx(total / 7, rel=1e-5)


@pytest.mark.parametrize("criterion", CRITERIA)
def test_parts_add_up_to_the_whole(criterion, logits, pairs) -> None:
    targets = mixed(*pairs, 0.7)
    whole = float(criterion(logits, targets)) * float(criterion.weight(targets))
    parts = sum(
        float(criterion(logits[a:b], targets[a:b])) * float(criterion.weight(targets[a:b]))
        for a, b in ((0, 2), (2, 3), (3, 7))
    )
    assert parts == pytest.approx(whole, rel=1e-5)


def test_the_train_error_is_against_the_larger_share(logits, pairs) -> None:
    """Batches of classes and of shares in one epoch."""
    first, second = pairs
    state = TrainState(torch.device("cpu"))
    for targets in (first, mixed(first, second, 0.8), mixed(first, second, 0.3)):
        state.count(logits.sum(), weight=7.0, outputs=logits, targets=targets, images=len(targets))
    predicted = logits.argmax(dim=1)
    wrong = 2 * int((predicted != first).sum()) + int((predicted != second).sum())
    assert state.train_figures() == {"error": wrong / 21}
    assert state.images == 21
