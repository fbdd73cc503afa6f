"""Are the training labels wrong? What a network says that learnt the images of another split.

Labels that are wrong in half of the training images, or in all of some class, hide from whatever
learns from them, but not from what learnt elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import Confusions, PartTaught

LEAST = 12
"""Images of a class, on average, in the split that is learnt from."""

TAUGHT = 0.75
"""Share of them that is learnt; the others tell how well."""

KNOWN_FROM = 4
"""Images of a class there, for training images of that class to be judged."""

KNOWN = 0.5
"""From guessing (0) to always right (1): how well they must be learnt."""

CLEARER = 0.15
"""How much more often a network is right on images of the other split, taught by it, than on
training images, taught by those, where the training labels are to blame; and how much more often
than on training images."""

MOST = 0.5
"""Share of the labels that are contradicted for one class, or one direction, to be named."""


def wrong_labels(
    train: Sample, other: Sample, own: Confusions, names: Sequence[str], *, seed: int = 0
) -> Finding | None:
    """What is wrong with the training labels, if those of the other split are clearer.

    Args:
        train: training images.
        other: those of another split.
        own: of a network taught some of the training images, on others of them.
        names: of the classes.
        seed: of the small network.
    """
    classes = len(names)
    if len(other.targets) < LEAST * classes:
        return None
    known = torch.bincount(other.targets, minlength=classes) >= KNOWN_FROM
    train = train.select(known[train.targets])
    if not len(train.targets):
        return None
    left = round((1 - TAUGHT) * len(other.targets))
    there = PartTaught.of(other.images, other.targets, held_out=left, classes=classes, seed=seed)
    clear, read = there.own, there.net.judged(train.images, train.targets)
    right = float(read.counts.diagonal().sum()) / max(1, read.images)
    is_clearer = clear.accuracy - own.accuracy > CLEARER
    if clear.kappa < KNOWN or not is_clearer or clear.accuracy - right < CLEARER:
        return None
    share = min(1.0, 1 - right / clear.accuracy)
    headline, remedy = _told(read, clear, names, share)
    return Finding(
        "labels_noisy",
        headline,
        f"a small network that learnt {other.split} images is right on {clear.accuracy:.0%} of "
        f"others of them, and on {right:.0%} of the training images; one that learnt training "
        f"images is right on {own.accuracy:.0%} of others",
        remedy,
        follows=("same_picture",),
    )


def _told(
    read: Confusions, clear: Confusions, names: Sequence[str], share: float
) -> tuple[str, str]:
    """One class that stands on all kinds of images, one direction of all labels, or any."""
    wrong = read.counts.clone().fill_diagonal_(0)
    labelled = wrong.sum(dim=1)
    first = int(labelled.argmax())
    name, of = names[first], float(read.counts[first].sum())
    to = wrong.argmax(dim=1)
    several = int((wrong[first] > 0.5 * labelled[first] / max(1, len(names) - 1)).sum())
    if labelled[first] > MOST * wrong.sum() and several > 1:
        much = float(labelled[first]) / of / max(clear.accuracy, 1e-6)
        return (
            f"about {min(1.0, much):.0%} of the training images that are labelled '{name}' show "
            "other classes",
            f"look at them with `cnntrain data show`; did images without a label become '{name}'?",
        )
    along = float(wrong[torch.arange(len(names)), to].sum())
    if len(names) > 2 and along > MOST * wrong.sum():
        pairs = [label for label in labelled.argsort(descending=True).tolist() if labelled[label]]
        said = ", ".join(f"'{names[a]}' on what shows '{names[int(to[a])]}'" for a in pairs[:3])
        return (
            f"about {share:.0%} of the training labels are those of another class: {said}",
            "look at how labels are numbered, in every part of the training images: from 0 or from "
            "1, and in the order of which list of classes",
        )
    return (
        f"about {share:.0%} of the training labels look wrong",
        "look at them with `cnntrain data show`, and at how images and labels are put together",
    )
