"""Expected values: scikit-learn and torchmetrics on the same probabilities, and the formulas."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import binom
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from torchmetrics.functional.classification import multiclass_calibration_error

from cnntrain.tasks.calibration import calibration_error, reliability
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.classification_report import most_confused
from cnntrain.tasks.image_scores import ImageScores
from cnntrain.tasks.intervals import difference_interval, mcnemar, share_interval
from cnntrain.tasks.quality import find_quality, mean_area


@pytest.fixture(params=[3, 7])
def answers(request: pytest.FixtureRequest) -> ImageScores:
    generator = torch.Generator().manual_seed(request.param)
    targets = torch.randint(0, request.param, (403,), generator=generator)
    logits = 2 * torch.randn(403, request.param, generator=generator)
    logits[torch.arange(403), targets] += 2.0
    return ImageScores(logits.log_softmax(dim=1), targets)


def probabilities(answers: ImageScores) -> np.ndarray:
    found = answers.scores.double().exp().numpy()
    return found / found.sum(axis=1, keepdims=True)


def test_areas_and_scores_are_scikit_learns(answers: ImageScores) -> None:
    found, targets = find_quality(answers), answers.targets.numpy()
    shares = answers.scores.double().exp().numpy()
    one_hot = np.eye(shares.shape[1])[targets]
    roc = roc_auc_score(targets, probabilities(answers), multi_class="ovr", average="macro")
    assert mean_area(found.roc_areas) == pytest.approx(roc, abs=1e-9)
    pr = average_precision_score(one_hot, shares, average="macro")
    assert mean_area(found.pr_areas) == pytest.approx(pr, abs=1e-9)
    labels = range(shares.shape[1])
    # float32 scores add up to 1 within 1e-7, which scikit-learn's own normalisation changes
    assert found.log_loss == pytest.approx(-np.log(shares[one_hot == 1]).mean(), abs=1e-9)
    assert found.log_loss == pytest.approx(log_loss(targets, probabilities(answers)), abs=1e-6)
    assert found.brier == pytest.approx(((shares - one_hot) ** 2).sum(axis=1).mean(), abs=1e-9)
    brier = brier_score_loss(targets, probabilities(answers), labels=labels, scale_by_half=False)
    assert found.brier == pytest.approx(brier, abs=1e-6)


def test_areas_are_those_of_the_formulas(answers: ImageScores) -> None:
    """The share of (positive, negative) pairs in the right order; precision at each positive."""
    found = find_quality(answers)
    for number, column in enumerate(answers.scores.double().numpy().T):
        is_class = answers.targets.numpy() == number
        ahead = column[is_class][:, None] > column[~is_class][None]
        assert found.roc_areas[number] == pytest.approx(ahead.mean(), abs=1e-9)
        ranked = is_class[np.argsort(-column)]
        precisions = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
        assert found.pr_areas[number] == pytest.approx(precisions[ranked].mean(), abs=1e-9)


def test_calibration_error_is_that_of_torchmetrics_and_of_the_formula(answers: ImageScores) -> None:
    found = calibration_error(reliability(answers))
    shares = answers.scores.double().exp()
    theirs = multiclass_calibration_error(shares, answers.targets, shares.shape[1], n_bins=15)
    assert found == pytest.approx(float(theirs), abs=1e-6)  # it counts in float32
    confidence, right = shares.amax(dim=1).numpy(), answers.right.numpy()
    which = np.ceil(confidence * 15)
    gaps = [
        abs(right[which == each].mean() - confidence[which == each].mean()) * (which == each).mean()
        for each in np.unique(which)
    ]
    assert found == pytest.approx(sum(gaps), abs=1e-9)


def test_calibration_by_hand() -> None:
    """Two images at 0.75, one right: |0.5 - 0.75|. Brier: (2 * 0.25^2 + 2 * 0.75^2) / 2."""
    scores = torch.tensor([[0.75, 0.25], [0.75, 0.25]]).log()
    found = find_quality(ImageScores(scores, torch.tensor([0, 1])))
    assert found.calibration_error == pytest.approx(0.25, abs=1e-6)
    assert found.brier == pytest.approx(0.625, abs=1e-6)
    [filled] = [each for each in found.bins if each.images]
    assert (filled.images, filled.accuracy) == (2, 0.5)
    assert filled.low < 0.75 <= filled.high


def test_a_class_without_positives_or_negatives_has_no_area() -> None:
    scores = torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]).log()
    found = find_quality(ImageScores(scores, torch.tensor([0, 1])))
    assert found.roc_areas == (1.0, 1.0, None)
    assert mean_area(found.pr_areas) == 1.0
    alone = find_quality(ImageScores(scores, torch.tensor([0, 0])))
    assert alone.roc_areas == (None, None, None)
    assert "ROC area -  PR area -" in alone.text()
    assert alone.data(["a", "b", "c"])["roc_area"] is None


@pytest.mark.parametrize(("right", "images"), [(850, 1000), (40, 50), (9_100, 10_000)])
def test_the_interval_of_the_top1_is_that_of_the_binomial(right: int, images: int) -> None:
    """Quantiles of binomial(N, p) / N exactly, but for the draws; and 1.96 standard errors."""
    found, share = share_interval(right, images), right / images
    low, high = binom.ppf([0.025, 0.975], images, share) / images
    step, error = 1 / images, math.sqrt(share * (1 - share) / images)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1.5 * step + 0.05 * error)
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.08)
    assert found.method == "bootstrap: 10,000 draws of the images, not stratified, seed 0"
    assert found == share_interval(right, images)


def test_where_all_are_right_the_interval_is_not_empty() -> None:
    """Clopper and Pearson: the lower end p with p^30 = 0.025."""
    found = share_interval(30, 30)
    assert (found.low, found.high) == pytest.approx((0.025 ** (1 / 30), 1.0))
    assert share_interval(0, 30).low == 0.0


def test_mcnemar_by_the_binomial_formula() -> None:
    """Twice the smaller tail of 12 fair coins: 2 * (1 + 12 + 66) / 2^12."""
    assert mcnemar(2, 10) == mcnemar(10, 2) == pytest.approx(2 * 79 / 4096)
    assert mcnemar(0, 0) == mcnemar(5, 5) == 1.0


def test_the_interval_of_a_difference() -> None:
    """Standard error of paired shares: sqrt((b + c - (b - c)^2 / N)) / N."""
    only_first, only_second, images = 60, 90, 2000
    found = difference_interval(only_first, only_second, images)
    gap = (only_first - only_second) / images
    spread = math.sqrt(150 - 30**2 / images) / images
    expected = (gap - 1.96 * spread, gap + 1.96 * spread)
    assert (found.low, found.high) == pytest.approx(expected, abs=0.06 * spread + 1 / images)


def test_confused_pairs_and_means_are_in_the_data() -> None:
    confusion = torch.tensor([[3, 1, 0], [0, 0, 0], [4, 2, 9]])
    assert most_confused(confusion, 9) == [(2, 0, 4), (2, 1, 2), (0, 1, 1)]
    assert most_confused(confusion, 2) == [(2, 0, 4), (2, 1, 2)]
    sums = CLASSIFICATION.sums(torch.zeros(1, 3))
    targets = torch.tensor([0, 0, 2])
    scores = torch.tensor([[0.9, 0.1, 0.0], [0.1, 0.9, 0.0], [0.0, 0.1, 0.9]])
    sums.add(scores, targets, loss=torch.tensor(1.0), weight=3.0)
    found = CLASSIFICATION.data(sums.compute(), ("a", "b", "c"))
    assert found["balanced_accuracy"] == found["macro"]["recall"] == 0.75
    assert found["most_confused"] == [{"class": "a", "predicted": "b", "images": 1}]
