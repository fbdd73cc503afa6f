"""Whether two splits are of one kind where no classes say so: see the check `splits`.

A small network of the doctor's own is taught to tell which split an image is of. Where both are of
one kind it cannot. Where images have numbers or labels, another one learns those of training, and
is asked about both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from cnntrain.diagnose.neighbours import Sample, places
from cnntrain.diagnose.numbers import NumberNet
from cnntrain.diagnose.report import Finding, Report, not_applicable
from cnntrain.diagnose.small_net import teller
from cnntrain.diagnose.undone import Change, undoing

TAUGHT = 0.75
"""Share of the images that a network learns from; the others are to ask about."""

LEAST = 60
"""Images of each split."""

TOLD, FAR, SURE = 0.75, 0.9, 4.0
"""Share of right answers to the question which split an image is of, for a suspicion and a fault;
chance is half of them, and it must be so many standard errors above it."""

TELLS, WORSE = 0.3, 0.25
"""R2 that a network must reach on training images to judge numbers by it; and how much lower it is
of the other split's where they are other ones."""

UNDONE = 0.5
"""Share of the difference that must go away where a change is undone for it to be named."""


def compare_kinds(train: Sample, other: Sample, *, names: Sequence[str], seed: int) -> Report:
    """Tell the images of two splits apart, and their numbers, where they have such.

    Args:
        train: some of the training images, with targets `(N, K)`, or images.
        other: some of the split that measures.
        names: of numbers or labels.
        seed: of the small networks.
    """
    count = min(len(train.images), len(other.images))
    if count < LEAST:
        return not_applicable("splits", "there are too few images to compare the splits")
    generator = torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(each.images), generator=generator) for each in (train, other)]
    ours, theirs = (each.select(order[:count]) for each, order in zip((train, other), orders,
                                                                     strict=True))  # fmt: skip
    told = _told(ours.images, theirs.images, seed=seed)
    headline = (
        f"a small network that learnt to tell images of training from those of {other.split} is "
        f"right on {told:.0%} of others; chance is 50%"
    )
    unjudged: tuple[str, ...] = ()
    findings = tuple(_of_another_kind(ours, theirs, told, headline, seed=seed))
    numbers: dict[str, float] = {"told_apart": told}
    if train.targets.ndim == 2 and train.targets.shape[1] == len(names):
        judged = _numbers(ours, theirs, names, seed=seed)
        numbers |= {"training": judged[0], "other": judged[1]}
        said = (
            f"one that learnt the training images explains {max(0.0, judged[0]):.0%} of the "
            f"variance of others, and {max(0.0, judged[1]):.0%} of those of {other.split}"
        )
        headline = f"{headline}; {said}"
        if judged[0] < TELLS:
            unjudged = (f"whether the splits agree on what is learnt: {said}, too little",)
        elif not findings:
            findings = judged[2]
    else:
        unjudged = ("whether the splits agree on what is learnt: only their images are compared",)
    return Report(
        "splits",
        findings[0].headline if findings else headline,
        findings,
        numbers=numbers,
        unjudged=unjudged,
    )


def _told(ours: Tensor, theirs: Tensor, *, seed: int) -> float:
    """Share of images of two kinds, as many of each, that a network taught on others can assign."""
    taught = round(TAUGHT * len(ours))
    generator = torch.Generator().manual_seed(seed)
    net = teller(ours[:taught], theirs[:taught], generator=generator, seed=seed)
    own, others = (net.answers(each[taught:]) for each in (ours, theirs))
    return float(torch.cat([own == 0, others == 1]).double().mean())


def _of_another_kind(
    ours: Sample, theirs: Sample, told: float, evidence: str, *, seed: int
) -> Iterator[Finding]:
    asked = 2 * (1 - TAUGHT) * len(ours.images)
    if told < max(TOLD, 0.5 + SURE * 0.5 / math.sqrt(asked)):
        return
    change = _what_undoes_it(ours.images, theirs.images, told, seed=seed)
    split = theirs.split
    headline = f"the {split} images are of another kind than those of training"
    remedy = f"compare them with `cnntrain data show`, and look at how the files of {split} were "
    remedy += "made, and at `data.transforms`"
    if change is not None:
        headline = f"in comparison with the training images those of {split} {change[0]}"
        evidence += f"; with that undone, on {change[1]:.0%}"
    yield Finding(
        "splits_differ", headline, evidence, remedy, is_certain=told >= FAR or change is not None
    )


def _what_undoes_it(
    ours: Tensor, theirs: Tensor, told: float, *, seed: int
) -> tuple[str, float] | None:
    """The change that, undone, brings images nearest to training's by their means; then tried."""
    near = sorted(undoing(theirs), key=lambda one: _distance(ours, one[1](theirs)))[:TRIED]
    tried: list[tuple[float, str]] = []
    for what, undo in near:
        tried.append((_told(ours, undo(theirs), seed=seed), what))
    share, what = min(tried)
    return (what, share) if share < told - UNDONE * (told - 0.5) else None


TRIED = 3
"""Changes that are tried, those that bring mean and deviation images nearest."""


def _distance(ours: Tensor, theirs: Tensor) -> float:
    """Between the mean images, and the deviations about them, in deviations of training."""
    scale = float(ours.std(dim=0).mean().clamp_min(1e-6))
    means = (ours.mean(dim=0) - theirs.mean(dim=0)).abs().mean()
    spreads = (ours.std(dim=0) - theirs.std(dim=0)).abs().mean()
    return float(means + spreads) / scale


def _numbers(
    ours: Sample, theirs: Sample, names: Sequence[str], *, seed: int
) -> tuple[float, float, tuple[Finding, ...]]:
    """R2 of training images that were not learnt, of the other split, and what is wrong there."""
    taught = round(TAUGHT * len(ours.images))
    net = NumberNet.of(ours.images[:taught], ours.targets[:taught], seed=seed)
    own = net.errors(ours.images[taught:], ours.targets[taught:])
    given = net.given(theirs.images)
    there = net.errors_of(given, theirs.targets)
    error = math.sqrt(float(own.var()) / len(own) + float(there.var()) / len(there))
    mean, other = float(own.mean()), float(there.mean())
    if mean > 1 - TELLS or other - mean <= max(WORSE, SURE * error):
        return 1 - mean, 1 - other, ()
    evidence = (
        f"a small network that learnt the numbers of training images explains {1 - mean:.0%} of "
        f"the variance of others, and {max(0.0, 1 - other):.0%} of those of {theirs.split}"
    )
    cause = (
        _out_of_step(net, given, theirs, mean, other)
        or _other_units(net, given, theirs.targets, names, mean, other)
        or _changed(net, theirs, mean, other)
    )
    what, share, remedy = cause or (
        "images or numbers of another kind than those of training", None,
        "compare them with `cnntrain data show`",
    )  # fmt: skip
    if share is not None:
        evidence += f"; with that undone, {share:.0%}"
    finding = Finding("splits_differ", f"the {theirs.split} images have {what}", evidence, remedy)
    return 1 - mean, 1 - other, (finding,)


Cause = tuple[str, float | None, str]
"""What it is, how much is explained where it is undone, and what to do."""


def _is_gained(error: float, mean: float, other: float) -> bool:
    return error < other - UNDONE * (other - mean)


def _out_of_step(
    net: NumberNet, given: Tensor, theirs: Sample, mean: float, other: float
) -> Cause | None:
    for by, numbers in theirs.moved.items():
        known = ~numbers.isnan().any(dim=1)
        error = float(net.errors_of(given[known], numbers[known]).mean())
        if _is_gained(error, mean, other):
            remedy = "look at how images and numbers are put together there: one of the two lists "
            remedy += "lacks an entry, or was sorted otherwise"
            return f"numbers out of step: moved {places(by)}, they fit", 1 - error, remedy
    return None


def _other_units(  # what was given, and what was to be
    net: NumberNet,
    given: Tensor,
    wanted: Tensor,
    names: Sequence[str],
    mean: float,
    other: float,
) -> Cause | None:
    """Numbers that are those of training times something, and something more."""
    centre = given.mean(dim=0)
    slope = ((given - centre) * wanted).sum(dim=0) / (given - centre).square().sum(dim=0)
    slope = slope.where(slope.abs() > 1e-6, 1.0)
    back = (wanted - wanted.mean(dim=0)) / slope + centre
    error = float(net.errors_of(given, back).mean())
    if not _is_gained(error, mean, other):
        return None
    worst = int(((given - wanted) / net.scale).square().mean(dim=0).argmax())
    shift = float(wanted[:, worst].mean() - slope[worst] * centre[worst])
    what = f"'{names[worst]}' on another scale: about {float(slope[worst]):.2g} times that of "
    what += f"training, and {shift:+.2g}"
    return what, 1 - error, "bring both to one unit: look at how the table was put together"


def _changed(net: NumberNet, theirs: Sample, mean: float, other: float) -> Cause | None:
    def error(undo: Change) -> float:
        return float(net.errors(undo(theirs.images), theirs.targets).mean())

    least, what = min((error(undo), what) for what, undo in undoing(theirs.images))
    if not _is_gained(least, mean, other):
        return None
    remedy = f"prepare both alike: look at how the files of {theirs.split} were written, and at "
    return f"pixels that {what}", 1 - least, f"{remedy}`data.transforms`"
