"""Whether labels have anything to do with their images: asked where neighbours know nothing."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cnntrain.diagnose.neighbours import Sample, Votes
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import STEPS, PartTaught

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
    for times in (1, LONGER):
        part = PartTaught.of(
            train.images, train.targets, held_out=count // LEFT, classes=most, seed=seed,
            split="asked", steps=times * STEPS,
        )  # fmt: skip
        own, taught = part.own, part.taught
        learnt = part.net.judged(train.images[taught], train.targets[taught])
        error = 1 / math.sqrt((most - 1) * own.images)  # of `kappa`, where it is that of guessing
        if own.kappa > KNOWN * error:
            return None
        is_memorised = learnt.kappa >= own.kappa + MEMORISED
        if is_memorised:
            break
    said = (
        f"nearest neighbours have the same label as often as guessing ({votes.chance:.0%}), and a "
        f"small network that learnt {len(taught):,} of the images, {learnt.accuracy:.0%} of them "
        f"rightly, is right on {own.accuracy:.0%} of {own.images:,} others"
    )
    is_clear = max(own.kappa, 0) + SURE * error < NOTHING
    if not is_clear or not is_memorised:
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
