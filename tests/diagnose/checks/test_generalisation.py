"""Check `generalisation`: smooth patterns under noise, few or many, and networks that know nothing.

What is expected follows from the data: with two images of a class under much noise a network can
memorise them and know little of others; with a hundred it averages the noise away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.data.batch import Batch
from cnntrain.diagnose import learning_curve
from cnntrain.diagnose.checks.generalisation import check_generalisation, with_remedy
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding, Report
from cnntrain.diagnose.variants import Helped, Relief, Trial, opener_of, variants_of
from tests.diagnose.conftest import blobs, convnet, method

NAMES = ("a", "b", "c", "d")


class Always(nn.Module):
    """Answers 0 to everything."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, images: Tensor) -> Tensor:
        return torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(len(images), -1) + 0 * self.weight


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning_curve, "STEPS", 30)


def sample(split: str, count: int, *, seed: int, noise: float = 2.0) -> Sample:
    return Sample(split, *blobs(count, seed=seed, noise=noise))


def check(count: int, *, trained: nn.Module | None = None, **given: Any) -> Report:
    torch.manual_seed(0)
    train = sample("train", count, seed=1)
    net = convnet()
    usual: dict[str, Any] = {
        "net": net,
        "trained": trained or net,
        "is_trained": trained is not None,
        "augmented": [Batch(train.images, train.targets)],
        "method": method(),
        "train": train,
        "other": sample("validation", 200, seed=2),
        "class_names": NAMES,
        "train_images": count,
        "recipe_steps": 40,
    }
    return check_generalisation(**usual | given)


def more() -> Trial:
    return Trial(convnet(), [blobs(64, seed=seed, noise=2.0) for seed in range(40)], method())


def test_few_images_are_named_with_what_helps() -> None:
    helps = Relief("more images", ("data.split.train=null",), more)
    report = check(8, variants=(helps, Relief("refused", ("x=1",), lambda: None)))
    (finding,) = report.findings
    assert finding.fault == "too_few_images"
    assert "8 training images, 2 of a class" in finding.headline
    assert finding.overrides == ("data.split.train=null",)
    assert report.numbers["training"] == 0.0
    as_it_is, helped = report.tables[0].rows
    assert as_it_is[2] == report.numbers["other"]
    assert f"{helped[2]:.0%} with it" in finding.remedy


def test_labels_that_say_nothing_of_other_images_are_never_fine() -> None:
    """Sixty images can be memorised with any labels: 0 % of them wrong, and 3/4 of others."""
    shuffled = sample("train", 60, seed=1)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(5))
    shuffled = Sample("train", shuffled.images, shuffled.targets[order])
    batches = [Batch(shuffled.images, shuffled.targets)]
    (finding,) = check(60, train=shuffled, augmented=batches, recipe_steps=120).findings
    assert (finding.fault, finding.is_certain) == ("does_not_generalise", False)
    assert "guessing: 75%" in finding.headline
    assert "look at images and labels" in finding.remedy


def test_what_does_not_help_is_said() -> None:
    tried = [Helped(None, 0.0, 0.3), Helped(Relief("mirrors", ("x=1",), more), 0.0, 0.29)]
    finding = with_remedy(Finding("too_few_images", "", "", ""), tried, split="test", error=0.02)
    assert finding.overrides == ()
    assert finding.remedy.endswith("; tried, and of no help: mirrors")


def test_enough_images_are_fine() -> None:
    report = check(400, is_trained=False)
    assert report.findings == ()
    assert report.applies


def test_so_few_passes_show_nothing() -> None:
    report = check(400, train_images=100_000)
    assert not report.applies
    assert "each image is seen 0.2 times" in report.headline  # 40 steps of 400


@pytest.mark.parametrize(
    ("task", "change"),
    [
        ("numbers", {"train": Sample("train", torch.zeros(4, 1, 8, 8), torch.zeros(4, 2))}),
        ("no other split", {"other": None}),
    ],
)
def test_what_cannot_be_judged(task: str, change: dict[str, Any]) -> None:
    assert not check(8, **change).applies, task


def test_a_run_at_chance_is_never_fine() -> None:
    """Even classes: always answering one of four is wrong on 3/4."""
    (finding,) = check(40, trained=Always()).findings
    assert finding.fault == "no_progress"
    assert finding.is_certain
    assert "always answering 'a' would be wrong on 75%" in finding.evidence


def uneven(split: str, count: int) -> Sample:
    found = sample(split, count, seed=3)
    return Sample(split, found.images, found.targets * (torch.arange(count) % 10 == 0))


def test_a_run_that_knows_only_what_is_frequent_is_useless() -> None:
    splits = {"train": uneven("train", 80), "other": uneven("validation", 200)}
    (finding,) = check(80, trained=Always(), **splits).findings
    assert finding.fault == "uneven_classes"
    assert "data.sampling=balanced" in finding.remedy
    (finding,) = check(80, trained=Always(), is_weighted=True, **splits).findings
    assert finding.fault == "no_progress"


def test_what_may_help_can_be_pasted(run_file: Callable[..., Any]) -> None:
    file = run_file({"train.optimizer.weight_decay": 0.01, "data.split.train": 60})
    opener = opener_of(prepare(load(file)), list, steps=2, size_of=lambda batch: min(batch, 8))
    found = variants_of(load(file), opener, sides=(12, 12))
    assert [variant.what for variant in found] == [
        "train on more of the images than data.split.train leaves",
        *("images mirrored at random", "more weight decay"),
    ]
    for variant in found:
        load(file, variant.overrides)  # it crops at random already
    assert found[-1].overrides == ("train.optimizer.weight_decay=0.1",)
    trial = found[0].open_trial()
    assert trial is not None
    assert len(trial.batches) == 2
