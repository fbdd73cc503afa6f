"""Expected values: torchmetrics and scikit-learn on the same logits, and small cases by hand."""

import dataclasses
import warnings

import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import balanced_accuracy_score, precision_recall_fscore_support
from torchmetrics.functional.classification import multiclass_accuracy, multiclass_confusion_matrix

from cnntrain.core.errors import DataError
from cnntrain.tasks.classification import CLASSIFICATION, ClassificationSums
from cnntrain.tasks.classification_report import Classification, class_scores, mean_score


def measured(logits, targets, sizes):
    sums = ClassificationSums(num_classes=logits.shape[1], device=torch.device("cpu"))
    for part, wanted in zip(logits.split(sizes), targets.split(sizes), strict=True):
        sums.add(part, wanted, loss=F.cross_entropy(part, wanted), weight=float(len(wanted)))
    return sums.compute()


@pytest.fixture(params=[2, 5, 6, 11])
def answers(request):
    generator = torch.Generator().manual_seed(request.param)
    targets = torch.randint(0, request.param, (103,), generator=generator)
    logits = torch.randn(103, request.param, generator=generator)
    logits[torch.arange(103), targets] += 1.0
    return logits, targets


def test_agrees_with_torchmetrics_whatever_the_batches(answers) -> None:
    logits, targets = answers
    classes = logits.shape[1]
    result = measured(logits, targets, [50, 50, 3])
    # torchmetrics' own default is the mean over classes; "micro" counts images
    top1 = multiclass_accuracy(logits, targets, classes, average="micro")
    assert result.top1 == pytest.approx(float(top1), abs=1e-6)
    table = multiclass_confusion_matrix(logits, targets, classes)
    assert torch.equal(result.confusion.long(), table)
    assert result.loss == pytest.approx(float(F.cross_entropy(logits, targets)), abs=1e-6)
    if classes > 5:
        top5 = multiclass_accuracy(logits, targets, classes, top_k=5, average="micro")
        assert result.top5 == pytest.approx(float(top5), abs=1e-6)
    else:
        assert result.top5 is None
    assert (result.images, result.correct) == (103, round(result.top1 * 103))
    assert result.error == pytest.approx(1.0 - result.top1)
    again = measured(logits, targets, [1] * 103)
    assert torch.equal(again.confusion, result.confusion)
    assert again.top5 == result.top5


def test_works_in_deterministic_mode(answers) -> None:
    logits, targets = answers
    expected = measured(logits, targets, [103])
    torch.use_deterministic_algorithms(True)
    try:
        again = measured(logits, targets, [103])
        assert again == expected
        assert torch.equal(again.confusion, expected.confusion)
    finally:
        torch.use_deterministic_algorithms(False)


def test_nothing_to_count() -> None:
    sums = ClassificationSums(num_classes=3, device=torch.device("cpu"))
    with pytest.raises(DataError, match="no images to evaluate"):
        sums.compute()


def test_class_scores_agree_with_scikit_learn(answers) -> None:
    logits, targets = answers
    predicted = logits.argmax(1)
    expected = precision_recall_fscore_support(
        targets, predicted, labels=range(logits.shape[1]), zero_division=0
    )
    scores = class_scores(measured(logits, targets, [103]).confusion)
    ours = [(s.precision, s.recall, s.f1, s.images) for s in scores]
    assert [x for row in ours for x in row] == pytest.approx(
        [x for row in zip(*expected, strict=True) for x in row]
    )
    macro = precision_recall_fscore_support(
        targets, predicted, labels=range(logits.shape[1]), zero_division=0, average="macro"
    )
    mean = mean_score(scores)
    assert (mean.precision, mean.recall, mean.f1) == pytest.approx(macro[:3])


def test_a_class_without_images_or_predictions_scores_zero() -> None:
    [first, absent] = class_scores(torch.tensor([[4, 0], [0, 0]]))
    assert (first.precision, first.recall, first.f1) == (1.0, 1.0, 1.0)
    assert (absent.precision, absent.recall, absent.f1, absent.images) == (0.0, 0.0, 0.0, 0)


def test_means_leave_out_classes_without_images(answers) -> None:
    """A class that a split lacks has no recall; scikit-learn's means are over the others."""
    logits, targets = answers
    targets = targets.where(targets != 1, 0)
    predicted = logits.argmax(1)
    result = measured(logits, targets, [103])
    there = sorted(set(targets.tolist()))
    precision, recall, f1, _ = precision_recall_fscore_support(
        targets, predicted, labels=there, zero_division=0, average="macro"
    )
    mean = mean_score(class_scores(result.confusion))
    assert (mean.precision, mean.recall, mean.f1) == pytest.approx((precision, recall, f1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # classes that are predicted, but not there
        balanced = balanced_accuracy_score(targets, predicted)
    assert CLASSIFICATION.cost(result, "balanced_accuracy") == pytest.approx(1 - balanced)
    assert CLASSIFICATION.cost(result, "macro_f1") == pytest.approx(1 - f1)
    assert CLASSIFICATION.selected("macro_f1", 1 - f1) == pytest.approx(f1)
    assert CLASSIFICATION.cost(result, "error") == result.error
    assert CLASSIFICATION.cost(result, "loss") == result.loss


def test_a_loss_far_above_that_of_equal_answers_is_no_better_than_guessing() -> None:
    """Though 8 of 10 are right: log 2 is 0.6931, and 9374 is what a rate of 2 has led to."""
    found = Classification(
        images=10,
        loss=9374.0,
        top1=0.8,
        top5=None,
        correct=8,
        confusion=torch.tensor([[4, 1], [1, 4]]),
    )
    assert "the loss is 9374, and 0.6931 where all" in (CLASSIFICATION.guessed(found) or "")
    assert CLASSIFICATION.guessed(dataclasses.replace(found, loss=3.0)) is None
