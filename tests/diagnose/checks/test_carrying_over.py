"""`generalisation` where what is learnt are numbers: R2 of training images and of others."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.generalisation import check_generalisation
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Report
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.adamw import adamw
from cnntrain.tasks.losses.mse import mse
from cnntrain.tasks.regression import Regress
from cnntrain.tasks.targets import Targets
from cnntrain.train import Recipe
from cnntrain.train.briefly import Method

WEIGHTS = torch.randn(64, 1, generator=torch.Generator().manual_seed(7)) / 8


def batch(count: int, *, seed: int, random: float = 0.0) -> Batch:
    """Images and a linear function of them, of deviation 1; a share of that is random."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(count, 1, 8, 8, generator=generator)
    noise = torch.randn(count, 1, generator=generator)
    numbers = images.flatten(1) @ WEIGHTS
    return Batch(images, (1 - random) ** 0.5 * numbers + random**0.5 * noise)


def judged(
    train: Batch,
    other: Batch | None,
    *,
    net: nn.Module | None = None,
    steps: int = 150,
    rate: float = 3e-3,
) -> Report:
    torch.manual_seed(0)
    given: dict[str, Any] = {"net": net or network(), "is_trained": net is not None}
    images, targets = (each.split(16) for each in train)
    samples = [None if b is None else Sample("validation", *b) for b in (train, other)]
    return check_generalisation(
        **given,
        trained=given["net"],
        augmented=[Batch(*each) for each in zip(images, targets, strict=True)],
        method=Method(
            lambda model: adamw(groups=parameter_groups(model)), mse(), Recipe(epochs=1, lr=rate)
        ),
        train=samples[0],
        other=samples[1],
        batch=train,
        held_out=other,
        class_names=("x",),
        train_images=len(train.targets),
        task=Regress(targets=Targets("numbers", ("x",), (0.0,), (1.0,))),
        recipe_steps=steps,
    )


def network() -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))


def test_what_carries_over_is_fine() -> None:
    report = judged(batch(480, seed=0), batch(200, seed=1), steps=300)
    assert report.verdict == "fine"
    assert report.numbers["other"] > 0.6


def test_numbers_of_chance_do_not_carry_over() -> None:
    """They are memorised; R2 of others is below 0."""
    report = judged(batch(64, seed=0, random=1.0), batch(200, seed=1, random=1.0))
    assert [found.fault for found in report.findings] == ["does_not_generalise"]
    assert report.numbers["training"] > 0.9
    assert report.numbers["other"] < 0.1


def test_more_images_would_help() -> None:
    report = judged(batch(48, seed=0), batch(400, seed=1))
    assert [found.fault for found in report.findings] == ["too_few_images"]
    assert "with half of the training images" in report.findings[0].evidence


class Constant(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        return self.value.expand(len(images), 1)


def test_a_run_that_always_says_the_mean() -> None:
    report = judged(batch(160, seed=0), batch(200, seed=1), net=Constant())
    assert [found.fault for found in report.findings] == ["no_progress"]
    assert "the same answer for every image" in report.headline


@pytest.mark.parametrize("other", [None, batch(4, seed=1)])
def test_too_few_others_are_not_judged(other: Batch | None) -> None:
    assert judged(batch(32, seed=0), other).verdict == "not applicable"


def test_what_is_hardly_learnt_is_not_judged() -> None:
    """At a low share of what can be learnt nothing is known of others."""
    report = judged(batch(64, seed=0), batch(200, seed=1), rate=1e-6)
    assert report.verdict == "not applicable"
    assert "too little" in report.headline


def test_numbers_that_are_all_the_same_are_not_judged() -> None:
    train, other = (Batch(images, torch.ones(len(images), 1))
                    for images, _ in (batch(256, seed=0), batch(256, seed=1)))  # fmt: skip
    assert judged(train, other).verdict == "not applicable"
