"""Check `splits`: handwritten digits, one split of which is changed in a known way."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest
import torch

from cnntrain.data.sets.digits import digits
from cnntrain.data.splits import Pixels
from cnntrain.diagnose.alike_classes import alike_classes
from cnntrain.diagnose.apart import Apart
from cnntrain.diagnose.checks.split_agreement import check_splits
from cnntrain.diagnose.labels_read import wrong_labels
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.orientation import any_way_up
from cnntrain.diagnose.report import Report
from cnntrain.diagnose.small_net import Confusions, PartTaught

NAMES = tuple("abcdefghij")


@cache
def halves() -> tuple[Sample, Sample]:
    part = digits().train
    assert isinstance(part, Pixels)
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(0))
    images, targets = part.images[order].float() / 255, part.targets[order]
    return Sample("train", images[:1000], targets[:1000]), Sample(
        "validation", images[1000:], targets[1000:]
    )


def check(change: Callable[[Sample], Sample] = lambda s: s, **given: Any) -> Report:
    train, other = halves()
    return check_splits(**{"train": train, "other": change(other), "class_names": NAMES} | given)


def exchanged(other: Sample) -> Sample:
    names = torch.arange(10)
    names[2], names[7] = 7, 2
    return replace(other, targets=names[other.targets])


def scrambled(other: Sample) -> Sample:
    """The images of class 4 with their pixels in another order."""
    images, odd = other.images.clone(), other.targets == 4
    order = torch.randperm(64, generator=torch.Generator().manual_seed(1))
    images[odd] = images[odd].flatten(2)[..., order].view_as(images[odd])
    return replace(other, images=images)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (exchanged, "'c' and 'h' are exchanged in the validation images"),
        (
            lambda s: replace(s, targets=(s.targets + 1) % 10),
            "have the labels of other classes: what is called 'a' is 'j', what is called 'b' is",
        ),
        (
            lambda s: replace(s, targets=s.targets.roll(1), moved={-1: s.targets}),
            "labels and images of validation are out of step: moved 1 place back, they fit",
        ),
        (lambda s: replace(s, images=1 - s.images), "those of validation are inverted"),
        (lambda s: replace(s, images=s.images.rot90(-1, (2, 3))), "are turned by 90 degrees"),
        (lambda s: replace(s, images=s.images.roll(4, 3)), "are moved sideways"),
        (scrambled, "the validation images of 'e' are of another kind than those of training"),
    ],
)
def test_what_was_done_is_named(change: Callable[[Sample], Sample], said: str) -> None:
    report = check(change)
    is_shift = "labels of other classes" in said
    fault = "labels_shifted" if is_shift else "splits_differ"
    assert [found.fault for found in report.findings] == [fault]
    assert said in report.headline


def unlabelled(train: Sample) -> Sample:
    """Seven of ten images have the label 0."""
    lost = torch.arange(len(train.targets)) % 10 < 7
    return replace(train, targets=train.targets.where(~lost, 0))


def numbered_from_one(train: Sample) -> Sample:
    """Six of ten images have the label of the next class."""
    later = torch.arange(len(train.targets)) % 10 < 6
    return replace(train, targets=torch.where(later, (train.targets + 1) % 10, train.targets))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (unlabelled, "of the training images that are labelled 'a' show other classes"),
        (numbered_from_one, "of the training labels are those of another class: "),
        (lambda s: replace(s, targets=s.targets.roll(500)), "of the training labels look wrong"),
    ],
)
def test_wrong_training_labels_are_read_from_the_other_split(
    change: Callable[[Sample], Sample], said: str
) -> None:
    report = check(train=change(halves()[0]))
    assert [found.fault for found in report.findings] == ["labels_noisy"]
    assert said in report.headline


def test_a_mark_in_training_images() -> None:
    train, _ = halves()
    images = train.images.clone()
    for place, label in enumerate(train.targets.tolist()):
        images[place, :, 7, label % 8] = 3.0
    report = check(train=replace(train, images=images))
    assert "at the bottom" in report.headline
    assert report.headline.endswith("of the training images gives their class away")


def test_nothing_is_found_in_splits_of_one_kind() -> None:
    report = check()
    assert not report.findings
    assert report.numbers["training"] > 0.95  # type: ignore[operator]
    assert report.numbers["other"] > 0.95  # type: ignore[operator]


def test_images_of_a_few_pixels() -> None:
    """Points: nothing can be said of their size, and nothing fails."""
    targets = torch.arange(400) % 2
    images = (2.0 * targets - 1)[:, None, None, None].expand(-1, 1, 1, 2).contiguous()
    images += 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    train, other = Sample("train", images, targets), Sample("test", -images, targets)
    (finding,) = check_splits(train=train, other=other, class_names=("a", "b")).findings
    assert "'a' and 'b' are exchanged in the test images" in finding.headline


def test_rare_classes_are_left_out() -> None:
    """Of five classes one image in 30 is left in training, and all in validation."""
    train, _ = halves()
    kept = (train.targets < 5) | (torch.arange(1000) % 30 == 0)
    few = Sample("train", train.images[kept], train.targets[kept])
    report = check(train=few)
    assert not report.findings
    assert report.numbers["other"] > 0.95  # type: ignore[operator]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"other": None}, "there is no other split"),
        (
            {
                "train": replace(halves()[0], targets=halves()[0].targets.roll(500)),
                "other": replace(halves()[1], targets=halves()[1].targets.roll(50)),
            },
            "too few to compare the splits by it",
        ),
        (
            {"train": Sample("train", halves()[0].images[:150], halves()[0].targets[:150])},
            "there are too few images to compare the splits",
        ),
    ],
    ids=["alone", "nothing to learn", "few of each class"],
)
def test_what_cannot_be_judged(given: dict[str, Any], why: str) -> None:
    report = check(**given)
    assert not report.applies
    assert why in report.headline


def noisy(sample: Sample, share: float) -> Sample:
    """A part of the images have noise in place of a digit."""
    generator = torch.Generator().manual_seed(3)
    lost = torch.rand(len(sample.targets), generator=generator) < share
    noise = torch.rand(sample.images.shape, generator=generator)
    names = [f"{'noise' if is_lost else 'digit'}{place}" for place, is_lost in enumerate(lost)]
    images = noise.where(lost[:, None, None, None], sample.images)
    return replace(sample, images=images, names=names)


def test_a_part_of_the_training_images_that_is_of_another_kind() -> None:
    report = check(train=noisy(halves()[0], 0.4))
    (finding,) = report.findings
    assert finding.fault == "splits_differ"
    assert finding.is_certain
    said = re.fullmatch(
        r"about (\d\d)% of the training images are of another kind than those of validation",
        finding.headline,
    )
    assert said is not None
    assert 30 <= int(said[1]) <= 50
    listed = [str(name) for (name,) in report.tables[1].rows]
    assert len(listed) == 20
    assert all(name.startswith("noise") for name in listed)


def test_classes_that_the_other_split_lacks_have_no_wrong_labels() -> None:
    """It has five of ten classes; of these half of the images."""
    train, other = halves()
    few = other.targets < 5
    fewer = replace(other, images=other.images[few], targets=other.targets[few])
    own = Confusions(torch.ones(10, 10))  # as good as guessing
    assert wrong_labels(train, fewer, own, NAMES) is None


def test_labels_are_not_blamed_for_images_of_two_kinds() -> None:
    """Training images are drowned in noise; those of validation are not."""
    train, _ = halves()
    noise = torch.randn(train.images.shape, generator=torch.Generator().manual_seed(6))
    report = check(train=replace(train, images=train.images + 2 * noise))
    assert [found.fault for found in report.findings] == ["splits_differ"]


def test_a_part_of_the_other_images_that_is_of_another_kind() -> None:
    report = check(lambda s: noisy(s, 0.4))
    assert report.headline.startswith("about ") or "are of another kind" in report.headline
    apart = Apart.of(halves()[0], noisy(halves()[1], 0.4), seed=0)
    assert apart is not None
    assert apart.is_far
    assert not apart.of_training
    assert 0.3 <= apart.of_other <= 0.5


def test_labels_that_follow_another_rule() -> None:
    """Training asks whether a digit is 5 or more, validation whether it is odd."""
    train, _ = halves()
    report = check(
        lambda s: replace(s, targets=s.targets % 2),
        train=replace(train, targets=(train.targets >= 5).long()),
        class_names=("no", "yes"),
    )
    (finding,) = report.findings
    assert finding.fault == "labels_noisy"
    assert finding.headline.endswith("images follow different rules")


def test_splits_of_one_kind_cannot_be_told_apart() -> None:
    train, other = halves()
    apart = Apart.of(train, other, seed=0)
    assert apart is not None
    assert apart.is_alike
    assert apart.of_training == apart.of_other == 0.0
    few = torch.arange(40)
    assert Apart.of(train, Sample("x", other.images[few], other.targets[few]), seed=0) is None


def test_classes_in_other_shares_are_no_other_kind() -> None:
    """Three of four images of one half of the classes are not in the other split."""
    train, other = halves()
    kept = (other.targets >= 5) | (torch.arange(len(other.targets)) % 4 == 0)
    fewer = replace(other, images=other.images[kept], targets=other.targets[kept])
    apart = Apart.of(train, fewer, seed=0)
    assert apart is not None
    assert apart.is_alike


def test_images_of_two_kinds_that_do_no_harm_are_a_suspicion() -> None:
    (finding,) = check(lambda s: replace(s, images=s.images * 0.9)).findings
    assert finding.headline == "the validation images are of another kind than those of training"
    assert not finding.is_certain


def turned(sample: Sample) -> Sample:
    """By any number of right angles."""
    generator = torch.Generator().manual_seed(4)
    turns = torch.randint(4, (len(sample.targets),), generator=generator)
    every = torch.stack([sample.images.rot90(number, (2, 3)) for number in range(4)])
    return replace(sample, images=every[turns, torch.arange(len(turns))])


def test_images_that_have_lost_their_way_up() -> None:
    both = [replace(each, images=each.images.roll(3, 2)) for each in halves()]
    report = check(lambda _: turned(both[1]), train=turned(both[0]))
    (finding,) = report.findings
    assert finding.headline.startswith("the images stand in any orientation")
    assert not finding.is_certain


@pytest.mark.parametrize("count", [100, 1000])
def test_images_that_have_their_way_up(count: int) -> None:
    """Or too few of them to be judged."""
    train = halves()[0]
    part = Sample("train", train.images[:count], train.targets[:count])
    given = part.images, part.targets
    taught = PartTaught.of(*given, held_out=count // 4, classes=10, seed=0)
    assert any_way_up(part, taught, seed=0) is None


def spots(count: int, *, seed: int, apart: float, classes: int = 5) -> Sample:
    """Classes that differ in brightness: nothing in them could be turned."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % classes
    brightness = apart * targets + 0.1 * torch.randn(count, generator=generator)
    noise = 0.2 * torch.randn(count, 1, 8, 8, generator=generator)
    return Sample("validation", brightness[:, None, None, None] + noise, targets)


def test_of_what_could_not_be_turned_no_orientation_is_said() -> None:
    train, other = (spots(count, seed=count, apart=0.2) for count in (1000, 500))
    report = check(lambda _: other, train=train, class_names=NAMES[:5])
    assert 0.5 < report.numbers["training"] < 0.9
    assert report.findings == ()


def test_one_class_under_two_names() -> None:
    def called(count: int) -> Sample:
        """The middle one of three classes has either of two names, by chance."""
        found = spots(count, seed=count, apart=1.0, classes=3)
        either = torch.rand(count, generator=torch.Generator().manual_seed(1 + count)) < 0.5
        return replace(found, targets=found.targets.where((found.targets != 1) | either, 3))

    report = check(lambda _: called(500), train=called(1000), class_names=NAMES[:4])
    (finding,) = report.findings
    assert (finding.fault, finding.is_certain) == ("classes_alike", False)
    assert finding.headline == "'b' and 'd' look the same"
    assert re.search(r"is right on [45]\d% of \d{3} others \(guessing: 50%\)", finding.evidence)


def test_classes_that_are_taken_for_each_other_are_not_the_same() -> None:
    """A network that did not learn what another one does: it knows the two after all."""
    train = halves()[0]
    counts = 20 * torch.eye(10).double()
    counts[2, [2, 7]] = counts[7, [2, 7]] = 20
    assert alike_classes(train, Confusions(counts), NAMES, seed=0) is None
