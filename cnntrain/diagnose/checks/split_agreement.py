"""Check `splits`: do the images that measure, and their labels, fit those of training?

A small network of the doctor's own learns some training images. It is asked about training images
that it has not seen, and about those of the other split: where both are of one kind, it is right as
often, class by class. Where it is not, known changes of the images are undone one at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cnntrain.diagnose import check
from cnntrain.diagnose.kinds_of_images import compare_kinds
from cnntrain.diagnose.labels_read import wrong_labels
from cnntrain.diagnose.neighbours import Sample, places
from cnntrain.diagnose.report import Finding, Report, Table, not_applicable
from cnntrain.diagnose.small_net import Confusions, PartTaught, SmallNet
from cnntrain.diagnose.undone import undoing

TAUGHT = 0.75
"""Share of the training images that the network learns from; the others are to compare with."""

TELLS = 0.3
"""From guessing (0) to always right (1): what the network must reach to judge anything."""

WORSE, SURE = 0.15, 4.0
"""How much lower the share of right answers is where the splits differ: so much, and so many
standard errors of the difference."""

OF_ONE_CLASS = 0.6
"""Share of a class's images that are taken for one other class if it is called so there."""

UNDONE = 0.5
"""Share of the difference that must go away where a change is undone for the change to be named."""

LEAST = 12
"""Images of a class in the other split for it to be judged by itself."""

ENOUGH = 20
"""Training images of a class that are looked at; rarer classes are left out: they are hardly
learnt."""

EDGE = 6
"""A mark is searched for in this part of the height and the width, along each edge."""


@check("splits", place=0.5)
def check_splits(
    *, train: Sample, other: Sample | None, class_names: Sequence[str], seed: int = 0
) -> Report:
    """Teach a small network some training images, and ask it about others of each split.

    Args:
        train: some of the training images, as evaluation prepares them.
        other: some of the split that measures, prepared in the same way.
        class_names: of the classes.
        seed: of the small network.
    """
    if other is None:
        return not_applicable("splits", "there is no other split to compare with")
    if not (train.images.isfinite().all() and other.images.isfinite().all()):
        return not_applicable("splits", "the images are not finite")
    if train.targets.ndim > 1:
        return compare_kinds(train, other, names=class_names, seed=seed)
    train, other = _frequent(train, train), _frequent(other, train)
    classes, left = len(class_names), round((1 - TAUGHT) * len(train.targets))
    if left < LEAST or len(other.targets) < LEAST:
        return not_applicable("splits", "there are too few images to compare the splits")
    part = PartTaught.of(train.images, train.targets, held_out=left, classes=classes, seed=seed)
    net, own = part.net, part.own
    theirs = net.judged(other.images, other.targets)
    is_telling = own.kappa >= TELLS
    findings = tuple(
        _findings(net, own, theirs, train=train, kept=part.kept, other=other, names=class_names)
        if is_telling
        else ()
    )
    if not is_telling or theirs.accuracy < own.accuracy - WORSE / 2:
        blamed = wrong_labels(train, other, own, class_names, seed=seed)
        findings = (blamed,) if blamed is not None else findings
    if not is_telling and not findings:
        why = f"a small network that learns {len(part.taught):,} training images is right on "
        why += f"{own.accuracy:.0%} of others: too few to compare the splits by it"
        return not_applicable("splits", why)
    headline = (
        f"a small network is right on {own.accuracy:.0%} of the training images that it has not "
        f"seen, and on {theirs.accuracy:.0%} of the {other.split} images"
    )
    rows = tuple(
        (name, own.recall(label), theirs.recall(label), class_names[theirs.answered(label)[0]])
        for label, name in enumerate(class_names)
    )
    title = "share of right answers of a small network that learnt some training images"
    columns = ("class", "training", other.split, "most often taken for")
    return Report(
        "splits",
        findings[0].headline if findings else headline,
        findings,
        numbers={"training": own.accuracy, "other": theirs.accuracy},
        tables=(Table(title, columns, rows),),
    )


def _frequent(sample: Sample, train: Sample) -> Sample:
    """The images of the classes of which there are enough in training."""
    most = 1 + max(int(each.targets.max()) if len(each.targets) else 0 for each in (sample, train))
    kept = (torch.bincount(train.targets, minlength=most) >= ENOUGH)[sample.targets]
    if kept.all():
        return sample
    moved = {by: labels[kept] for by, labels in sample.moved.items()}
    return Sample(sample.split, sample.images[kept], sample.targets[kept], moved)


def _is_worse(ours: float, n: float, theirs: float, m: float) -> bool:
    """Whether a share of m images is lower than one of n images, and not by chance."""
    pooled = (ours * n + theirs * m + 1) / (n + m + 2)
    error = math.sqrt(pooled * (1 - pooled) * (1 / max(n, 1) + 1 / max(m, 1)))
    return ours - theirs > max(WORSE, SURE * error)


def _findings(  # both splits, and what was said of them
    net: SmallNet,
    own: Confusions,
    theirs: Confusions,
    *,
    train: Sample,
    kept: Tensor,
    other: Sample,
    names: Sequence[str],
) -> Iterator[Finding]:
    worse = [label for label in range(len(names)) if _of_class_is_worse(own, theirs, label)]
    if not worse and not _is_worse(own.accuracy, own.images, theirs.accuracy, theirs.images):
        return
    evidence = (
        f"a small network that learnt some training images is right on {own.accuracy:.0%} of other "
        f"training images, and on {theirs.accuracy:.0%} of the {other.split} images"
    )
    cause = (
        _out_of_step(net, own, theirs, other, evidence)
        or _called_otherwise(_renamed(theirs, worse), other.split, names, evidence)
        or _changed(net, own, theirs, other, evidence)
        or _marked(net, own, train.images[kept], train.targets[kept], other.split, evidence)
    )
    if cause is None:
        few = worse if 0 < len(worse) * 2 <= len(names) else []
        shares = [(names[label], own.recall(label), theirs.recall(label)) for label in few[:3]]
        for name, ours, there in shares:
            evidence += f"; of '{name}', on {ours:.0%} and {there:.0%}"
        of = f" of {_listed(few, names)}" if few else ""
        cause = Finding(
            "splits_differ",
            f"the {other.split} images{of} are of another kind than those of training",
            evidence,
            f"compare them with `cnntrain data show`, and look at how the files of {other.split} "
            "were made",
            follows=("same_picture",),
        )
    yield cause


def _of_class_is_worse(own: Confusions, theirs: Confusions, label: int) -> bool:
    n, m = float(own.counts[label].sum()), float(theirs.counts[label].sum())
    return m >= LEAST and n > 0 and _is_worse(own.recall(label), n, theirs.recall(label), m)


def _renamed(theirs: Confusions, worse: Sequence[int]) -> dict[int, int]:
    """Classes of the other split most of whose images are taken for one other class.

    None, where these are less than half of the classes that are worse: something else is the cause.
    """
    found = {label: theirs.answered(label) for label in worse}
    renamed = {
        label: to for label, (to, share) in found.items() if to != label and share > OF_ONE_CLASS
    }
    return renamed if 2 * len(renamed) >= len(worse) else {}


def _gained(accuracy: float, own: Confusions, theirs: Confusions) -> bool:
    """Whether so many right answers explain most of the difference between the splits."""
    return accuracy > theirs.accuracy + UNDONE * (own.accuracy - theirs.accuracy)


def _out_of_step(
    net: SmallNet, own: Confusions, theirs: Confusions, other: Sample, evidence: str
) -> Finding | None:
    """Labels that stand some places away from their images."""
    for by, labels in other.moved.items():
        known = labels >= 0
        accuracy = net.judged(other.images[known], labels[known]).accuracy
        if _gained(accuracy, own, theirs):
            return Finding(
                "splits_differ",
                f"labels and images of {other.split} are out of step: moved {places(by)}, they fit",
                f"{evidence}; with the labels moved, on {accuracy:.0%}",
                "look at how images and labels are put together there: one of the two lists lacks "
                "an entry, or was sorted otherwise",
            )
    return None


def _called_otherwise(
    renamed: dict[int, int], split: str, names: Sequence[str], evidence: str
) -> Finding | None:
    """Classes that have each other's names; that several are taken for one means something else."""
    if len(renamed) < 2 or len(set(renamed.values())) < len(renamed):
        return None
    pairs = [(a, b) for a, b in renamed.items() if renamed.get(b) == a and a < b]
    if pairs and 2 * len(pairs) == len(renamed):
        said = ", ".join(f"'{names[a]}' and '{names[b]}'" for a, b in pairs[:3])
        headline = f"{said} are exchanged in the {split} images"
    else:
        first = list(renamed.items())[:3]
        said = ", ".join(f"what is called '{names[a]}' is '{names[b]}'" for a, b in first)
        headline = f"the {split} images have the labels of other classes: {said}"
    return Finding(
        "splits_differ",
        headline,
        evidence,
        f"look at the order of the classes in {split}, and at how images and labels are put "
        "together",
    )


def _changed(
    net: SmallNet, own: Confusions, theirs: Confusions, other: Sample, evidence: str
) -> Finding | None:
    """The change of the images without which the network is right most often, if it explains."""
    tried = [
        (net.judged(undo(other.images), other.targets).accuracy, what)
        for what, undo in undoing(other.images)
    ]
    accuracy, what = max(tried, key=lambda one: one[0])
    if not _gained(accuracy, own, theirs):
        return None
    return Finding(
        "splits_differ",
        f"in comparison with the training images those of {other.split} {what}",
        f"{evidence}; with that undone, on {accuracy:.0%}",
        f"prepare both alike: look at how the files of {other.split} were written, and at "
        "`data.transforms`",
    )


def _marked(  # what is compared
    net: SmallNet, own: Confusions, images: Tensor, targets: Tensor, split: str, evidence: str
) -> Finding | None:
    """Something in training images that gives their class away, and is not in the other split."""
    place = _telling_place(net, own, images, targets)
    if place is None:
        return None
    where, share = place
    return Finding(
        "splits_differ",
        f"something at the {where} of the training images gives their class away",
        f"{evidence}; with that part hidden, on {share:.0%} of the training images",
        "look there with `cnntrain data show`: a mark, a border, a caption, a background; crop it "
        f"off, or cover it in training and {split} alike",
    )


def _telling_place(
    net: SmallNet, own: Confusions, images: Tensor, targets: Tensor
) -> tuple[str, float] | None:
    """An edge of the images without which the network no longer knows their classes."""
    down, across = (-(-size // EDGE) for size in images.shape[2:])
    edges = {
        "top": (slice(None, down), slice(None)),
        "bottom": (slice(-down, None), slice(None)),
        "left": (slice(None), slice(None, across)),
        "right": (slice(None), slice(-across, None)),
    }
    mean = images.mean(dim=0)
    found: list[tuple[float, str]] = []
    for where, (rows, columns) in edges.items():
        hidden = images.clone()
        hidden[:, :, rows, columns] = mean[:, rows, columns]
        found.append((net.judged(hidden, targets).accuracy, where))
    least, where = min(found)
    return (where, least) if own.accuracy - least >= WORSE else None


def _listed(labels: Sequence[int], names: Sequence[str]) -> str:
    return ", ".join(f"'{names[label]}'" for label in labels[:3])
