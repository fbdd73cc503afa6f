"""Classes that look the same, and unlike all others: one class, under two names.

As folders `Cat` and `cat` are, or two lists of classes put together in which one has a second name.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import Confusions, teller

KNOWN = 0.85
"""Share of the images of two classes that is taken for one of the two: what they show is known."""

LEAST = 30
"""Images of the two that must have been asked about, and images of each to learn from."""

SURE, MOST = 2.0, 0.65
"""Share of right answers that a network taught these two alone must be below, so many standard
errors included; one that guesses has a half."""


def alike_classes(
    train: Sample, asked: Confusions, names: Sequence[str], *, seed: int
) -> Finding | None:
    """A suspicion where two classes look the same.

    Args:
        train: training images.
        asked: what a small network that knows the classes says of images that it has not learnt.
        names: of the classes.
        seed: of further small networks.
    """
    pairs, right, of = [], 0.0, 0
    for first, second in _mixed_up(asked):
        known, images = _told_apart(train, first, second, seed=seed)
        if images and known + SURE * math.sqrt(known * (1 - known) / images) < MOST:
            pairs.append((first, second))
            right, of = right + known * images, of + images
    if not pairs:
        return None
    said = ", ".join(f"'{names[first]}' and '{names[second]}'" for first, second in pairs[:3])
    more = f" and {len(pairs) - 3} more pairs" if len(pairs) > 3 else ""
    return Finding(
        "classes_alike",
        f"{said}{more} look the same",
        f"a small network that learnt images of these two alone is right on {right / of:.0%} of "
        f"{of:,} others (guessing: 50%), though another one knows the two from all other classes",
        "if both names mean the same thing, make them one class; else look at them with `cnntrain "
        "data show`: is what makes the difference still to be seen at this size?",
        is_certain=False,
    )


def _mixed_up(asked: Confusions) -> Iterator[tuple[int, int]]:
    """Pairs that are known from the rest, and mistaken for each other as often as not."""
    counts = asked.counts
    for first in range(len(counts)):
        for second in range(first + 1, len(counts)):
            both = counts[[first, second]]
            own = both[:, [first, second]]
            images, right = float(own.sum()), float(own.diagonal().sum())
            is_known = images >= max(LEAST, KNOWN * float(both.sum()))
            if is_known and right < images / 2 + SURE * math.sqrt(images) / 2:
                yield first, second


def _told_apart(train: Sample, first: int, second: int, *, seed: int) -> tuple[float, int]:
    """How many images of either class are known to a network taught half of them; and how many
    were asked about."""
    generator = torch.Generator().manual_seed(seed)
    halves = []
    for label in (first, second):
        places = (train.targets == label).nonzero().flatten()
        halves.append(places[torch.randperm(len(places), generator=generator)])
    count = min(map(len, halves)) // 2
    if count < LEAST:
        return 0.0, 0
    learnt = [train.images[places[:count]] for places in halves]
    net = teller(*learnt, generator=generator, seed=seed)
    right = sum(
        int((net.answers(train.images[places[count:]]) == answer).sum())
        for answer, places in enumerate(halves)
    )
    asked = sum(len(places) - count for places in halves)
    return right / asked, asked
