"""Check `splits`: do the images that measure, and their labels, fit those of training?

A small network of the doctor's own learns some training images. It is asked about training images
that it has not seen, and about those of the other split: where both are of one kind, it is right as
often, class by class. Where it is not, known changes of the images are undone one at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from cnntrain.diagnose import check
from cnntrain.diagnose.alike_classes import alike_classes
from cnntrain.diagnose.apart import Apart, kinds_differ
from cnntrain.diagnose.kinds_of_images import compare_kinds
from cnntrain.diagnose.labels_read import wrong_labels
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.orientation import any_way_up
from cnntrain.diagnose.report import Finding, Report, Table, not_applicable
from cnntrain.diagnose.small_net import Confusions, PartTaught
from cnntrain.diagnose.split_causes import (
    called_otherwise,
    changed,
    labels_of_another_kind,
    marked,
    out_of_step,
    renamed,
)

TAUGHT = 0.75
"""Share of the training images that the network learns from; the others are to compare with."""

TELLS = 0.3
"""From guessing (0) to always right (1): what the network must reach to judge anything."""

WORSE, SURE = 0.15, 4.0
"""How much lower the share of right answers is where the splits differ: so much, and so many
standard errors of the difference."""

WAY_UP = 0.2, 0.9
"""From guessing (0) to always right (1): what the network must reach on other training images for
their orientation to be looked at; what is known better does not suffer from it."""

LEAST = 12
"""Images of a class in the other split for it to be judged by itself."""

ENOUGH = 20
"""Training images of a class that are looked at; rarer classes are left out: they are hardly
learnt."""


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
    apart = Apart.of(train, other, seed=seed)
    is_telling = own.kappa >= TELLS
    found = _found(part, theirs, apart, train, other, class_names) if is_telling else None
    if apart is not None and apart.who[0]:
        found = kinds_differ(apart, own, theirs, other.split)
    elif (apart is None or not apart.is_far) and (
        not is_telling or theirs.accuracy < own.accuracy - WORSE / 2
    ):
        found = wrong_labels(train, other, own, class_names, seed=seed) or found
    if found is None and apart is not None and apart.is_far:
        found = kinds_differ(apart, own, theirs, other.split)
    if found is None and is_telling:
        found = alike_classes(train, own + theirs, class_names, seed=seed)
    if found is None and WAY_UP[0] < own.kappa < WAY_UP[1]:
        found = any_way_up(train, part, seed=seed)
    findings = () if found is None else (found,)
    if not is_telling and not findings:
        why = f"a small network that learns {len(part.taught):,} training images is right on "
        why += f"{own.accuracy:.0%} of others: too few to compare the splits by it"
        return not_applicable("splits", why)
    headline = (
        f"a small network is right on {own.accuracy:.0%} of the training images that it has not "
        f"seen, and on {theirs.accuracy:.0%} of the {other.split} images"
    )
    return Report(
        "splits",
        findings[0].headline if findings else headline,
        findings,
        numbers={
            "training": own.accuracy,
            "other": theirs.accuracy,
            "apart": None if apart is None else apart.distance,
        },
        tables=tuple(_tables(own, theirs, apart, train, other, class_names)),
    )


def _tables(  # both splits, and what was said of them
    own: Confusions,
    theirs: Confusions,
    apart: Apart | None,
    train: Sample,
    other: Sample,
    names: Sequence[str],
) -> Iterator[Table]:
    rows = tuple(
        (name, own.recall(label), theirs.recall(label), names[theirs.answered(label)[0]])
        for label, name in enumerate(names)
    )
    title = "share of right answers of a small network that learnt some training images"
    yield Table(title, ("class", "training", other.split, "most often taken for"), rows)
    oddest = apart.oddest(train, other) if apart is not None and apart.is_far else ()
    if oddest:
        title = "images that are the least like those of the other split"
        yield Table(title, ("image",), tuple((name,) for name in oddest))


def _frequent(sample: Sample, train: Sample) -> Sample:
    """The images of the classes of which there are enough in training."""
    most = 1 + max(int(each.targets.max()) if len(each.targets) else 0 for each in (sample, train))
    kept = (torch.bincount(train.targets, minlength=most) >= ENOUGH)[sample.targets]
    return sample if kept.all() else sample.select(kept)


def _is_worse(ours: float, n: float, theirs: float, m: float) -> bool:
    """Whether a share of m images is lower than one of n images, and not by chance."""
    pooled = (ours * n + theirs * m + 1) / (n + m + 2)
    error = math.sqrt(pooled * (1 - pooled) * (1 / max(n, 1) + 1 / max(m, 1)))
    return ours - theirs > max(WORSE, SURE * error)


def _found(  # both splits, and what was said of them
    part: PartTaught,
    theirs: Confusions,
    apart: Apart | None,
    train: Sample,
    other: Sample,
    names: Sequence[str],
) -> Finding | None:
    """What is wrong where the network is right less often on the other split."""
    net, own, split = part.net, part.own, other.split
    worse = [label for label in range(len(names)) if _of_class_is_worse(own, theirs, label)]
    if not worse and not _is_worse(own.accuracy, own.images, theirs.accuracy, theirs.images):
        return None
    evidence = (
        f"a small network that learnt some training images is right on {own.accuracy:.0%} of other "
        f"training images, and on {theirs.accuracy:.0%} of the {split} images"
    )
    cause = out_of_step(net, own, theirs, other, evidence)
    cause = cause or called_otherwise(renamed(theirs, worse), split, names, evidence)
    few = worse if 0 < len(worse) * 2 <= len(names) else []
    if cause is None and apart is not None and apart.is_alike and not few:
        evidence += "; it cannot tell the images of both splits apart"
        return labels_of_another_kind(split, evidence)
    kept = train.images[part.kept], train.targets[part.kept]
    cause = cause or changed(net, own, theirs, other, evidence)
    cause = cause or marked(net, own, *kept, split, evidence)
    if cause is not None:
        return cause
    for label in few[:3]:
        evidence += f"; of '{names[label]}', on {own.recall(label):.0%} and "
        evidence += f"{theirs.recall(label):.0%}"
    of = f" of {_listed(few, names)}" if few else ""
    return Finding(
        "splits_differ",
        f"the {split} images{of} are of another kind than those of training",
        evidence,
        f"compare them with `cnntrain data show`, and look at how the files of {split} were made",
        follows=("same_picture",),
    )


def _of_class_is_worse(own: Confusions, theirs: Confusions, label: int) -> bool:
    n, m = float(own.counts[label].sum()), float(theirs.counts[label].sum())
    return m >= LEAST and n > 0 and _is_worse(own.recall(label), n, theirs.recall(label), m)


def _listed(labels: Sequence[int], names: Sequence[str]) -> str:
    return ", ".join(f"'{names[label]}'" for label in labels[:3])
