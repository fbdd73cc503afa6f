"""Two networks on the same images: how sure it is that one of them is better."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Split
from cnntrain.data.crops import Crops
from cnntrain.data.splits import Files, Part, Pixels
from cnntrain.model.evaluate import Evaluated, evaluate
from cnntrain.model.images import SplitImages, find_images

if TYPE_CHECKING:
    from cnntrain.model.model import Model
    from cnntrain.tasks.intervals import Interval


@dataclass(frozen=True)
class Paired:
    """What two networks say of the same images.

    Args:
        first, second: each by itself.
        both, only_first, only_second, neither: images that are right in both, in one, in none.
        difference: of the top-1, first minus second.
        interval: between which values it lies, with 95 % confidence.
        p_value: of McNemar's exact test.
    """

    first: Evaluated
    second: Evaluated
    both: int
    only_first: int
    only_second: int
    neither: int
    difference: float
    interval: Interval
    p_value: float


def evaluate_pair(
    first: Model,
    second: Model,
    *,
    split: Split | None = None,
    crops: Crops = "center",
    scales: Sequence[int] = (),
) -> Paired:
    """Evaluate two networks, each by itself, and compare them image by image.

    Args:
        first, second: networks for the same classes, in any order.
        split, crops, scales: see `cnntrain.model.evaluate.evaluate`.

    Raises:
        UsageError: their images are not the same ones, or the task has no probabilities.
        CheckpointError: they are for other classes.
    """
    # here, not above: it imports scipy
    from cnntrain.tasks.intervals import difference_interval, mcnemar

    second.check_classes(first.classes, whose=str(first.path), any_order=True)
    _refuse_other_images(find_images(first, split=split), find_images(second, split=split))
    found = [evaluate([each], split=split, crops=crops, scales=scales) for each in (first, second)]
    answers = [each.answers for each in found if each.answers is not None]
    if len(answers) < 2:
        raise UsageError("--compare needs probabilities of classes", remedy="leave it out")
    ours, theirs = (each.right for each in answers)
    images = len(ours)
    only_first, only_second = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return Paired(
        first=found[0],
        second=found[1],
        both=int((ours & theirs).sum()),
        only_first=only_first,
        only_second=only_second,
        neither=int((~ours & ~theirs).sum()),
        difference=(only_first - only_second) / images,
        interval=difference_interval(only_first, only_second, images),
        p_value=mcnemar(only_first, only_second),
    )


def _refuse_other_images(ours: SplitImages, theirs: SplitImages) -> None:
    if ours.split == theirs.split and _contents(ours) == _contents(theirs):
        same = not isinstance(ours.part, Pixels) or _same_pixels(ours.part, theirs.part)
        if same:
            return
    names = [f"{each.model.path} on {each.described}" for each in (ours, theirs)]
    raise UsageError(
        f"networks are compared on the same images, but these differ: {names[0]}, {names[1]}",
        remedy="use --split test if they share their test images, or train both with the same data "
        "section and data.split.seed",
    )


def _contents(images: SplitImages) -> list[tuple[str, str]]:
    """Name and class of each image, in stored order."""
    part = images.part
    said = images.model.named.say_all(part.targets)
    if isinstance(part, Files):
        names = [str(path.absolute()) for path in part.paths]
    else:
        names = [part.label(number) for number in range(len(part))]
    return list(zip(names, said, strict=True))


def _same_pixels(ours: Pixels, theirs: Part) -> bool:
    return isinstance(theirs, Pixels) and torch.equal(ours.images, theirs.images)
