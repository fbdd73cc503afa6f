"""`recipe`: what holds a training back, by taking it away."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.recipe import REFUTES, check_recipe
from cnntrain.diagnose.diagnose import conclude
from cnntrain.diagnose.lost_numbers import lost_numbers
from cnntrain.diagnose.recipe_trials import RecipeTrial, RecipeTrials, Tried
from cnntrain.diagnose.report import Report
from cnntrain.optim import Warmup
from cnntrain.optim.schedules.constant import constant
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.criterion import MeanLoss
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.tasks.losses.mse import mse
from cnntrain.train.briefly import Course, Method

Make = Callable[..., Any]


def check(
    net: nn.Module,
    batches: list[Batch],
    how: Method,
    *,
    augmented: list[Batch] | None = None,
    **without: Method,
) -> Report:
    return check_recipe(
        net=net,
        augmented=augmented or batches,
        batches=batches,
        method=how,
        without={name.replace("_", " "): each for name, each in without.items()},
        classes=4,
        recipe_steps=60,
    )


def faults(report: Report) -> list[str]:
    return [finding.fault for finding in report.findings]


def test_a_healthy_recipe(convnet: Make, method: Make, batches: list[Batch]) -> None:
    net = convnet(act2=nn.Sequential(nn.ReLU(), nn.Dropout(0.5)))
    report = check(net, batches, method(weight_decay=5e-4), weight_decay=method())
    assert report.verdict == "fine"
    assert set(report.refutes) == {*REFUTES, "rate_too_high"}
    assert len(report.tables[0].rows) == 1  # nothing else had to be tried


def test_too_much_decay(convnet: Make, method: Make, batches: list[Batch]) -> None:
    net = convnet(norm1=nn.Identity())
    report = check(net, batches, method(weight_decay=1.0), weight_decay=method())
    assert faults(report) == ["too_much_decay"]
    assert report.refutes == ()


def test_too_much_dropout(convnet: Make, method: Make, batches: list[Batch]) -> None:
    net = convnet(act1=nn.Sequential(nn.ReLU(), nn.Dropout(0.99)),
                  act2=nn.Sequential(nn.ReLU(), nn.Dropout(0.99)))  # fmt: skip
    assert faults(check(net, batches, method())) == ["too_much_dropout"]


def test_augmentation_that_leaves_nothing(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    noise = torch.Generator().manual_seed(0)
    ruined = [Batch(torch.randn(b.images.shape, generator=noise), b.targets) for b in batches]
    assert faults(check(convnet(), batches, method(), augmented=ruined)) == [
        "too_much_augmentation"
    ]


def test_a_gradient_clipped_to_nothing(convnet: Make, method: Make, batches: list[Batch]) -> None:
    report = check(convnet(), batches, method(clip_norm=1e-6), clipping=method())
    assert faults(report) == ["clipped_to_nothing"]


def test_labels_smoothed_away(convnet: Make, method: Make, batches: list[Batch]) -> None:
    smoothed = method(criterion=CrossEntropy(label_smoothing=0.999))
    report = check(convnet(), batches, smoothed, label_smoothing=method())
    assert faults(report) == ["too_much_smoothing"]


def test_what_does_not_help_is_not_accused(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    """At a rate of nothing the decay is not to blame."""
    still = method(lr=1e-9, weight_decay=1e-3)
    report = check(convnet(), batches, still, weight_decay=method(lr=1e-9))
    assert report.verdict == "not applicable"  # 60 steps are too few to tell
    assert [row[0] for row in report.tables[0].rows] == [
        *("as the run file says", "without weight decay")
    ]


def test_what_helps_by_chance_is_not_accused(
    convnet: Make, method: Make, batches: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a plateau is left depends on the order of the batches, here on nothing else."""

    def train(trials: RecipeTrials, trial: RecipeTrial) -> Tried:
        is_lucky = trial.what == "weight decay" and trial.batches[0] is batches[0]
        after = (0.01 if is_lucky else 0.95) * trials.chance
        return Tried(trial, Course((1.0,), diverged=False), 1.0, after, None, after)

    monkeypatch.setattr(RecipeTrials, "train", train)
    report = check(convnet(), batches, method(weight_decay=1e-4), weight_decay=method())
    assert faults(report) == []
    assert len(report.tables[0].rows) == 2


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [(constant(), ["no_progress"]), (Warmup(steps=300, then=constant()), [])],
)
def test_no_progress_for_no_known_reason(
    convnet: Make, method: Make, batches: list[Batch], schedule: Any, expected: list[str]
) -> None:
    """While the rate still rises nothing can be said."""
    how = method(lr=1e-9, schedule=schedule)
    report = check_recipe(
        net=convnet(),
        augmented=batches,
        batches=batches,
        method=how,
        without={},
        classes=4,
        recipe_steps=100,
    )
    assert faults(report) == expected
    assert report.verdict == ("suspect" if expected else "not applicable")


@pytest.mark.parametrize(("error", "expected"), [(0.6, []), (0.74, ["no_progress"])])
def test_fewer_wrong_images_than_by_guessing_are_progress(
    convnet: Make,
    method: Make,
    batches: list[Batch],
    monkeypatch: pytest.MonkeyPatch,
    error: float,
    expected: list[str],
) -> None:
    """Of four classes three quarters are wrong; the loss is still that of guessing."""

    def train(trials: RecipeTrials, trial: RecipeTrial) -> Tried:
        return Tried(trial, Course((1.0,), diverged=False), 1.4, trials.chance, error, 1.4)

    monkeypatch.setattr(RecipeTrials, "train", train)
    report = check_recipe(
        net=convnet(),
        augmented=batches,
        batches=batches,
        method=method(),
        without={},
        classes=4,
        recipe_steps=100,
    )
    assert faults(report) == expected


def test_a_training_that_diverges(convnet: Make, method: Make, batches: list[Batch]) -> None:
    net = convnet(norm1=nn.Identity())
    report = check(net, batches, method(lr=1e4, weight_decay=1e-3), weight_decay=method(lr=1e4))
    assert faults(report) == ["diverges"]


def test_the_schedule_of_the_run_is_followed(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    """A warm-up to a rate that diverges from a standing start."""
    how = method(lr=1e4, schedule=Warmup(steps=10**8, then=constant()))
    assert faults(check(convnet(), batches, how)) == []


def test_squared_error_is_judged_by_itself(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    report = check(convnet(), batches, method(criterion=mse()))
    assert math.isclose(report.numbers["loss_of_guessing"], 0.375, rel_tol=1e-6)
    assert report.numbers["loss_after"] < 0.5 * 0.375
    assert set(report.refutes) == {*REFUTES, "rate_too_high"}


def test_decay_that_only_slows_the_training_down_is_found_too(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    net = convnet(norm1=nn.Identity())
    report = check(net, batches, method(weight_decay=0.35), weight_decay=method())
    whole, freed = report.tables[0].rows
    assert 0.2 * math.log(4) < whole[2] < 0.85 * math.log(4)  # it learns, but not well
    assert faults(report) == ["too_much_decay"]
    assert freed[2] < whole[2] / 3


@pytest.mark.parametrize(("momentum", "expected"), [(0.1, []), (0.0, ["stale_batch_norm"])])
def test_running_statistics(
    convnet: Make, method: Make, batches: list[Batch], momentum: float, expected: list[str]
) -> None:
    shifted = [Batch(20 * batch.images + 60, batch.targets) for batch in batches]
    report = check(convnet(norm1=nn.BatchNorm2d(6, momentum=momentum)), shifted, method())
    assert faults(report) == expected


class Drop(nn.Module):
    """Dropout that scales what it keeps rightly, or with the wrong sign."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * (torch.rand_like(x) >= 0.7) * self.scale if self.training else x


class Centre(nn.Module):
    """Takes off the mean of the batch, and in evaluation the running one, or so many times that."""

    def __init__(self, times: float) -> None:
        super().__init__()
        self.times = times
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + 5
        if not self.training:
            return x - self.times * self.mean
        self.mean.lerp_(x.detach().mean(), 0.1)
        return x - x.mean()


@pytest.mark.parametrize(
    ("right", "wrong"), [(Drop(1 / 0.3), Drop(-1 / 0.3)), (Centre(1.0), Centre(3.0))]
)
def test_a_layer_that_computes_something_else_in_evaluation(
    convnet: Make, method: Make, batches: list[Batch], right: nn.Module, wrong: nn.Module
) -> None:
    assert faults(check(convnet(norm1=right), batches, method())) == []
    report = check(convnet(norm1=wrong), batches, method())
    (finding,) = [each for each in report.findings if each.fault == "other_in_evaluation"]
    assert finding.layers == ("norm1",)
    said = f"'norm1' ({type(wrong).__name__}) computes something else in evaluation"
    assert finding.headline.startswith(said)


class Root(nn.Module):
    """A root, whose slope at 0 is infinite, but for what is added below it."""

    def __init__(self, added: float) -> None:
        super().__init__()
        self.added = added

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return ((x - x.amin(dim=1, keepdim=True)).square() + self.added).sqrt()


class Quotient(nn.Module):
    """Each value divided by the sum of its image, which may be 0."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        parts = (x - 1e3).relu()
        return parts / parts.sum(dim=1, keepdim=True)


@pytest.mark.parametrize(
    ("layer", "said"),
    [(Root(0.0), "the gradient of 'act2' (Root)"), (Quotient(), "the output of 'act2' (Quotient)")],
)
def test_the_layer_that_loses_the_numbers(
    convnet: Make, method: Make, batches: list[Batch], layer: nn.Module, said: str
) -> None:
    report = check(convnet(act2=layer), batches, method())
    (finding,) = conclude([report]).findings
    assert finding.fault == "not_finite"
    assert finding.headline == f"{said} is not finite, though what it reads is"
    assert [effect.fault for effect in finding.effects] == ["diverges"]


def test_no_layer_is_blamed_where_numbers_only_grow(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    assert "not_finite" not in faults(check(convnet(norm1=nn.Identity()), batches, method(1e4)))
    assert not faults(check(convnet(act2=Root(0.1)), batches, method()))


def test_a_loss_that_loses_the_numbers(convnet: Make, batches: list[Batch]) -> None:
    lost = lost_numbers(convnet(), batches[0], MeanLoss(lambda x, _: (x - x).square().sqrt()))
    assert lost is not None
    assert lost.headline == "the gradient of the loss is not finite, though what it reads is"


def hinge(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The perceptron's loss (Rosenblatt 1958) of two classes and more: guessing costs nothing."""
    right = outputs.gather(1, targets[:, None])
    return (outputs - right).amax(dim=1)


def test_a_loss_for_which_guessing_is_free_has_no_scale(
    convnet: Make, method: Make, batches: list[Batch]
) -> None:
    how = method(criterion=MeanLoss(hinge), weight_decay=1e-3)
    without = method(criterion=MeanLoss(hinge))
    blank = [Batch(torch.zeros_like(images), targets) for images, targets in batches]
    for augmented in (batches, blank):
        report = check(convnet(), batches, how, augmented=augmented, weight_decay=without)
        assert report.numbers["loss_of_guessing"] == 0
        assert faults(report) == []


def test_what_is_learnt_is_not_stuck_whatever_the_loss() -> None:
    """A network that is sure of its few mistakes has a large loss; without a thing it has not."""
    plain = [Batch(torch.zeros(40, 1, 2, 2), torch.arange(40) % 4)]
    trials = RecipeTrials(nn.Flatten(), plain, 60, CLASSIFICATION, 0, math.log(4))
    for error, is_accused in ((0.3, False), (0.5, True)):
        whole = tried_with("", 2.4, error)
        assert trials._is_accused(tried_with("augmentation", 0.04, 0.0), whole) is is_accused


def tried_with(what: str, loss: float, error: float) -> Tried:
    course = Course((1.4, loss), diverged=False)
    trial = RecipeTrial(what, [], method=None)  # type: ignore[arg-type]  # nothing is trained
    return Tried(trial, course, 1.4, loss, error, loss)
