"""Tasks whose targets are numbers: planted faults are named, and what is healthy is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from cnntrain.diagnose.checks.data import check_data
from cnntrain.diagnose.checks.split_agreement import check_splits
from cnntrain.diagnose.diagnose import Diagnosis, examine
from cnntrain.diagnose.faults import check_names
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Report

pytestmark = pytest.mark.usefixtures("own_place")

Make = Callable[..., Path]


def columns(count: int, *, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noisy images with a bright column, and its place `(N, 1)`."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.randint(8, (count,), generator=generator)
    images = 0.3 * torch.randn(count, 1, 8, 8, generator=generator)
    images[torch.arange(count), :, :, places] += 2.0
    return images, places[:, None].float()


def sample(split: str, images: Tensor, numbers: Tensor, *, by: int = 0) -> Sample:
    """With the numbers of neighbours in the list; moved by some places where it is asked for."""
    numbers = numbers.roll(by, dims=0)
    moved = {places: numbers.roll(-places, dims=0) for places in (-2, -1, 1, 2)}
    return Sample(split, images, numbers, moved)


def data(numbers: Tensor, *, by: int = 0, names: Sequence[str] = ("x",)) -> Report:
    images, _ = columns(len(numbers))
    train = sample("train", images, numbers, by=by)
    return check_data(
        train=train, other=None, class_names=names, counts={"train": [len(numbers)]}, shared={},
        is_weighted=False, form="numbers",
    )  # fmt: skip


def faults(found: Report | Diagnosis) -> list[str]:
    return [finding.fault for finding in found.findings]


def test_numbers_that_fit_are_fine() -> None:
    report = data(columns(300)[1] / 3)
    assert faults(report) == []
    assert report.unjudged == ()


@pytest.mark.parametrize("by", [-1, 2])
def test_numbers_out_of_step(by: int) -> None:
    report = data(columns(300)[1] / 3, by=by)
    assert faults(report) == ["labels_shifted"]
    assert f"moved {abs(by)} place" in report.headline


def test_numbers_that_nothing_explains_are_not_called_fine() -> None:
    report = data(torch.randn(300, 1, generator=torch.Generator().manual_seed(5)))
    assert faults(report) == []
    assert "too little" in report.unjudged[0]


@pytest.mark.parametrize(("scale", "shift"), [(1000.0, 0.0), (1e-3, 0.0), (1.0, 500.0)])
def test_numbers_far_from_0_and_1(scale: float, shift: float) -> None:
    numbers = columns(300)[1] * scale + shift
    (found,) = data(numbers).findings
    assert found.fault == "targets_not_scaled"
    assert f"mean {float(numbers.mean()):.3g}" in found.headline
    assert found.overrides == ("task.normalize=true",)


def test_a_number_that_is_always_the_same() -> None:
    numbers = torch.cat([columns(300)[1] / 3, torch.full((300, 1), 7.0)], dim=1)
    (found,) = data(numbers, names=("x", "y")).findings
    assert (found.fault, found.headline) == ("targets_odd", "'y' is 7 for every image")


def test_a_few_numbers_far_from_all_others() -> None:
    numbers = columns(300)[1] / 3 + torch.linspace(0, 0.1, 300)[:, None]
    numbers[17] = 40.0
    (found,) = data(numbers).findings
    assert found.fault == "targets_odd"
    assert found.headline.startswith("3 of 300 images hold ")


def splits(images: Tensor, numbers: Tensor, *, by: int = 0) -> Report:
    train = sample("train", *columns(600, seed=1))
    other = sample("validation", images, numbers, by=by)
    return check_splits(train=train, other=other, class_names=("x",))


def test_splits_of_one_kind_agree() -> None:
    report = splits(*columns(300, seed=2))
    assert faults(report) == []
    assert report.numbers["told_apart"] < 0.65
    assert min(report.numbers["training"], report.numbers["other"]) > 0.8


@pytest.mark.parametrize(
    ("change", "by", "said"),
    [
        (lambda images, numbers: (images.min() + images.max() - images, numbers), 0,
         "are inverted"),
        (lambda images, numbers: (images, 10 * numbers + 3), 0, "about 10 times that of training"),
        (lambda images, numbers: (images, numbers), 1, "numbers out of step: moved 1 place"),
    ],
)  # fmt: skip
def test_splits_that_differ(change: Callable[..., Any], by: int, said: str) -> None:
    report = splits(*change(*columns(300, seed=2)), by=by)
    assert faults(report) == ["splits_differ"]
    assert said in report.headline


def test_images_without_numbers_are_told_apart() -> None:
    """As of an autoencoder, whose targets are its images."""
    ours, theirs = columns(400, seed=1)[0], columns(300, seed=2)[0]
    report = check_splits(
        train=Sample("train", ours, ours), other=Sample("test", theirs, theirs), class_names=()
    )
    assert faults(report) == []
    assert "only their images are compared" in report.unjudged[0]
    noisy = theirs + torch.randn(theirs.shape, generator=torch.Generator().manual_seed(3))
    report = check_splits(
        train=Sample("train", ours, ours), other=Sample("test", noisy, noisy), class_names=()
    )
    assert faults(report) == ["splits_differ"]


WITHOUT_MACHINE = [name for name in check_names() if name != "machine"]


def test_a_healthy_regression_is_fine(numbers_file: Make) -> None:
    diagnosis = examine(numbers_file(), checks=WITHOUT_MACHINE)
    assert faults(diagnosis) == []
    (recipe,) = (report for report in diagnosis.reports if report.check == "recipe")
    assert "of the variance is explained (R2)" in recipe.headline
    unjudged = {report.check for report in diagnosis.unjudged}
    assert unjudged == {"augmentation", "substitution", "units"}


@pytest.mark.parametrize(
    ("changes", "scale", "checks", "fault"),
    [
        ({"train.optimizer.lr": 2.0}, 1.0, ["rate"], "rate_too_high"),
        ({"train.optimizer.lr": 1e-5}, 1.0, ["rate"], "rate_too_low"),
        ({"task.normalize": False}, 1000.0, ["data", "initial"], "targets_not_scaled"),
        ({}, 1000.0, ["data", "initial"], None),
    ],
)
def test_planted_faults_are_named(
    changes: dict[str, Any], scale: float, checks: list[str], fault: str | None, numbers_file: Make
) -> None:
    file = numbers_file(number=lambda x: scale * x)
    found = faults(examine(file, checks=checks, overrides=changes))
    assert found[:1] == ([] if fault is None else [fault])


def test_augmentation_that_leaves_numbers_behind(numbers_file: Make) -> None:
    ready = [{"resize": {"size": [8, 8]}}, "normalize"]
    flipped = {"data.transforms.train": [*ready, "horizontal_flip"]}
    diagnosis = examine(numbers_file(), checks=["augmentation"], overrides=flipped)
    (found,) = diagnosis.findings
    assert found.fault == "too_much_augmentation"
    assert found.headline == "`horizontal_flip` changes images, and not 'x' with them"
    noisy = {"data.transforms.train": [ready[0], {"noise": {"std": 0.05}}, ready[1]]}
    assert faults(examine(numbers_file(name="other"), checks=["augmentation"],
                          overrides=noisy)) == []  # fmt: skip
