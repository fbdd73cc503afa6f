"""Whether labels have anything to do with their images: asked where neighbours know nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from cnntrain.diagnose.neighbours import Sample, Votes
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import STEPS, Confusions, SmallNet

SURE, KNOWN = 3.0, 2.0
"""Standard errors from which on something is sure, and from which on more than nothing is known."""

NOTHING = 0.1
"""From guessing (0) to always right (1): what the small network must be surely below for labels to
mean nothing; else the images may only be hard."""

MEMORISED = 0.3
"""How much more of the images that it learnt it must know: it can tell images apart."""

LONGER = 4
"""Times as many steps for it where the usual ones are not enough for that."""

OF_A_CLASS, LEFT = 20, 4
"""Images of a class, on average, that there must be; one in so many is kept to ask about."""


def knows_nothing(train: Sample, votes: Votes) -> bool:
    """Whether neighbours have the label of an image as seldom as guessing has it."""
    agreement = votes.agreement(train.targets)
    error = math.sqrt(max(agreement * (1 - agreement), 1e-4) / len(train.targets))
    return agreement < votes.chance + SURE * error


def meaningless(
    train: Sample, votes: Votes, classes: Sequence[str], *, seed: int = 0
) -> Finding | str | None:
    """Ask a small network about images that it has not learnt.

    Returns:
        A finding where labels mean nothing; in words, why that could not be judged; or None.
    """
    count, most = len(train.targets), len(classes)
    if most < 2 or not train.images.isfinite().all() or not knows_nothing(train, votes):
        return None
    if count < OF_A_CLASS * most:
        return f"{count:,} images of {most} classes are too few to see whether labels fit"
    could_be_sure = SURE / math.sqrt((most - 1) * count) < NOTHING
    for steps in (STEPS, LONGER * STEPS) if could_be_sure else (STEPS,):
        own, learnt = _asked(train, most, fold=0, steps=steps, seed=seed)
        is_memorised = learnt.kappa >= own.kappa + MEMORISED
        if own.kappa > KNOWN * _error(own, most):
            return None
        if is_memorised:
            break
    for fold in range(1, LEFT) if is_memorised and could_be_sure else ():
        if _is_nothing(own, most):
            break
        own += _asked(train, most, fold=fold, steps=steps, seed=seed)[0]
        if own.kappa > KNOWN * _error(own, most):
            return None
    said = (
        f"nearest neighbours have the same label as often as guessing ({votes.chance:.0%}), and a "
        f"small network that learnt {learnt.images:,} of the images, {learnt.accuracy:.0%} of them "
        f"rightly, is right on {own.accuracy:.0%} of {own.images:,} others"
    )
    if not is_memorised or not _is_nothing(own, most):
        return f"{said}: the images are hard, or the labels wrong"
    said += f" (guessing: {1 / most:.0%})"
    return Finding(
        "labels_noisy",
        "the labels have nothing to do with the images",
        said,
        "look at them with `cnntrain data show`, and at how images and labels are put together: "
        "was one of two lists shuffled or sorted alone?",
        follows=("same_picture", "misread_pixels"),
    )


def _asked(
    train: Sample, classes: int, *, fold: int, steps: int, seed: int
) -> tuple[Confusions, Confusions]:
    """What is said of one in `LEFT` of the images, taught the others, and of these."""
    order = torch.randperm(len(train.targets), generator=torch.Generator().manual_seed(seed))
    is_kept = torch.arange(len(order)) % LEFT == fold
    kept, taught = (train.select(order[part]) for part in (is_kept, ~is_kept))
    net = SmallNet(taught.images, taught.targets, classes=classes, steps=steps, seed=seed)
    return net.judged(kept.images, kept.targets), net.judged(taught.images, taught.targets)


def _error(own: Confusions, classes: int) -> float:
    """The standard error of `kappa`, where it is that of guessing."""
    return 1 / math.sqrt((classes - 1) * own.images)


def _is_nothing(own: Confusions, classes: int) -> bool:
    """Whether what is known is surely next to nothing."""
    return max(own.kappa, 0) + SURE * _error(own, classes) < NOTHING
