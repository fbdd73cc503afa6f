"""Check `augmentation`: a bright patch whose place is the class, and transforms that move it.

What a flip, a crop or an erased rectangle does to such classes is known without training.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from cnntrain.data.splits import Pixels
from cnntrain.diagnose.checks.augmentation import check_augmentation
from cnntrain.diagnose.report import Report
from cnntrain.diagnose.suspects import milder, suspects_in, without, written
from cnntrain.diagnose.training_views import TrainingViews
from cnntrain.show.pixels import Scaling

NAMES = ("left", "right", "top", "bottom")
SCALING = Scaling((0.25,), (0.25,))
NORMALIZE = {"name": "normalize"}
FLIP = {"name": "horizontal_flip"}
NUDGE = {"name": "affine", "translate": 0.05}


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnntrain.diagnose.lessons.STEPS", 40)


def patches(count: int = 400) -> Pixels:
    """A patch of 2 x 2 in the middle of one edge of 6 x 6, in noise."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(count) % 4
    images = torch.randint(0, 90, (count, 1, 6, 6), generator=generator)
    for label, (row, column) in enumerate(((2, 0), (2, 4), (0, 2), (4, 2))):
        images[targets == label, :, row : row + 2, column : column + 2] += 120
    return Pixels(images.to(torch.uint8), targets)


def views(
    train: list[dict[str, Any]], evaluation: list[dict[str, Any]] | None = None
) -> TrainingViews:
    return TrainingViews(patches(), train, evaluation or [NORMALIZE], SCALING)


def shuffled(part: Pixels) -> Pixels:
    """Labels that have nothing to do with the images."""
    order = torch.randperm(len(part), generator=torch.Generator().manual_seed(1))
    return Pixels(part.images, part.targets[order])


def check(seen: TrainingViews | None) -> Report:
    return check_augmentation(views=seen, class_names=NAMES)


def test_a_flip_that_exchanges_two_classes_is_named_and_left_out() -> None:
    """Half of `left` is `right` after the flip: the two are guessed, the other two are known."""
    report = check(views([NUDGE, FLIP, NORMALIZE]))
    (finding,) = report.findings
    assert finding.fault == "too_much_augmentation"
    assert report.headline == "`horizontal_flip` makes 'left' and 'right' look alike"
    assert finding.overrides == ("data.transforms.train=[{affine: {translate: 0.05}}, normalize]",)
    assert report.numbers["plain"] == 1.0
    assert 0.6 < report.numbers["augmented"] < 0.9  # type: ignore[operator] # about 3 / 4
    assert [plot.title for plot in report.pictures] == [
        "images, and what augmentation makes of them (taken for)"
    ]


def test_what_leaves_nothing_is_named_and_weakened() -> None:
    """Noise of 20 times the range of pixels: what is left of a difference of half of it is 1 %."""
    report = check(views([NUDGE, {"name": "noise", "std": 20.0}, NORMALIZE]))
    assert report.headline == "`noise` leaves too little to tell classes apart"
    (finding,) = report.findings
    mild = "{affine: {translate: 0.05}}, {noise: {std: 0.05}}, normalize"
    assert finding.overrides == (f"data.transforms.train=[{mild}]",)


def test_evaluation_that_enlarges_the_middle() -> None:
    """The patches lie outside of the middle third."""
    enlarged = [{"name": "resize", "size": 18}, {"name": "center_crop", "size": 6}, NORMALIZE]
    report = check(views([NUDGE, NORMALIZE], enlarged))
    (finding,) = report.findings
    assert finding.fault == "splits_differ"
    assert report.headline == (
        "evaluation prepares images otherwise than training: "
        "{resize: {size: 18}}, {center_crop: {size: 6}} in evaluation only"
    )
    assert finding.overrides == ("data.transforms.eval=[normalize]",)


def test_nothing_is_found_where_augmentation_keeps_the_class() -> None:
    report = check(views([NUDGE, NORMALIZE, {"name": "random_erasing"}]))
    assert report.applies
    assert not report.findings


@pytest.mark.parametrize(
    ("seen", "why"),
    [
        (None, "only a part of the network learns"),
        (views([NORMALIZE]), "training changes nothing at random"),
        (replace(views([FLIP]), part=patches(60)), "there are too few images of a class"),
        (
            replace(views([NUDGE, NORMALIZE]), part=shuffled(patches())),
            "too few to judge augmentation by it",
        ),
    ],
    ids=["a part", "nothing random", "few images", "nothing to learn"],
)  # fmt: skip
def test_what_cannot_be_judged(seen: TrainingViews | None, why: str) -> None:
    report = check(seen)
    assert not report.applies
    assert why in report.headline


def test_one_thing_at_a_time() -> None:
    crop = {"name": "random_crop", "size": 4}
    whole = {"name": "affine", "rotate": 180.0, "translate": 0.05}
    seen = views([crop, whole, {"name": "rand_augment", "magnitude": 4}, NORMALIZE])
    found = {each.what: each for each in suspects_in(seen.train_steps)}
    assert [*found] == ["random_crop", "affine: {rotate: 180.0}", "affine: {translate: 0.05}",
                        "rand_augment"]  # fmt: skip
    assert written(without(seen, [*found.values()])) == "[{center_crop: {size: [4, 4]}}, normalize]"
    turned = written(milder(seen, [found["affine: {rotate: 180.0}"]]))
    assert "{affine: {rotate: 10.0, translate: 0.05}}" in turned
    weak = written(milder(seen, [found["affine: {translate: 0.05}"], found["rand_augment"]]))
    assert weak == "[{random_crop: {size: 4}}, {affine: {rotate: 180.0}}, normalize]"


def test_what_never_leaves_an_image_as_it_is() -> None:
    """Each image is mirrored: of the classes at the sides the network learns the opposite."""
    seen = views([{**FLIP, "probability": 1.0}, NORMALIZE])
    part = patches()
    sides = Pixels(part.images[part.targets < 2], part.targets[part.targets < 2])
    (finding,) = check_augmentation(views=replace(seen, part=sides), class_names=NAMES).findings
    assert (
        finding.headline == "`horizontal_flip` changes images so that none is as evaluation's are"
    )
    assert finding.overrides == ("data.transforms.train=[normalize]",)
