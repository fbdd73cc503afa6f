"""Whether the images of two splits are of one kind, labels apart.

A small network of the doctor's own is taught to tell which split an image is of, and asked about
images that it has not seen. Where both splits are of one kind its answers mean nothing; where a
part of one of them is of a kind of its own it is sure of that part.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import Confusions, teller

LEAST, MOST = 60, 500
"""Images of each split, for them to be compared, and that are compared at the most."""

SURE = 2.4
"""The largest distance of two distributions that chance leaves, in units of sqrt(1 / n + 1 / m):
more happens once in 50,000 times (Smirnov 1948)."""

FAR = 0.3
"""Distance from which images are of two kinds."""

PURE = 0.15
"""How many images of one split are taken for those of a kind that only the other one has, per one
of these, at the most."""

WHOLE = 0.8
"""Share of a split from which on it is all of its images."""

LOWER, ERRORS = 0.04, 2.0
"""How much lower the share of right answers must be, and so many standard errors, for images of two
kinds to do harm for certain."""

LISTED = 20
"""Images by name."""


@dataclass(frozen=True)
class Apart:
    """How sure the network is, of images that it did not learn, that they are not of training.

    Args:
        ours: of training images, `(N,)` from 0 to 1.
        theirs: of images of the other split, as many.
        places: of both kinds in their samples, two of `(N,)`.
    """

    ours: Tensor
    theirs: Tensor
    places: tuple[Tensor, Tensor]

    @staticmethod
    def of(train: Sample, other: Sample, *, seed: int) -> Apart | None:
        """Compare as many images of each class in both; None where there are too few."""
        generator = torch.Generator().manual_seed(seed)
        ours, theirs = _alike(train.targets, other.targets, generator)
        if len(ours) < LEAST:
            return None
        fold = torch.arange(len(ours)) % 2
        sure = torch.zeros(2, len(ours))
        for part in (0, 1):
            learnt = train.images[ours[fold == part]], other.images[theirs[fold == part]]
            net = teller(*learnt, generator=generator, seed=seed)
            asked = fold != part
            sure[0, asked] = net.shares(train.images[ours[asked]])[:, 1]
            sure[1, asked] = net.shares(other.images[theirs[asked]])[:, 1]
        return Apart(sure[0], sure[1], (ours, theirs))

    @cached_property
    def _below(self) -> tuple[float, float]:
        """Of both kinds, the share below the threshold between which lies the largest distance."""
        every = torch.cat([self.ours, self.theirs])
        ours, theirs = (
            torch.searchsorted(each.sort().values, every, right=True) / len(each)
            for each in (self.ours, self.theirs)
        )
        most = int((ours - theirs).argmax())
        return float(ours[most]), float(theirs[most])

    @property
    def distance(self) -> float:
        """From 0, of one kind, to 1."""
        ours, theirs = self._below
        return ours - theirs

    @property
    def is_alike(self) -> bool:
        """Whether it may be chance."""
        return self.distance <= SURE * math.sqrt(2 / len(self.ours))

    @property
    def is_far(self) -> bool:
        """Whether images of the splits are of two kinds."""
        return self.distance >= FAR and not self.is_alike

    @property
    def right(self) -> float:
        """Share of right answers."""
        return float(torch.cat([self.ours < 0.5, self.theirs >= 0.5]).double().mean())

    @property
    def of_training(self) -> float:
        """Share of the training images that are of a kind which the other split lacks; else 0."""
        ours, theirs = self._below
        return ours if self.is_far and theirs <= PURE * ours else 0.0

    @property
    def of_other(self) -> float:
        """The same of the other split."""
        ours, theirs = (1 - below for below in self._below)
        return theirs if self.is_far and ours <= PURE * theirs else 0.0

    @property
    def who(self) -> tuple[bool, str]:
        """Whether a part of the training images is what differs, and a sentence's subject."""
        if 0 < self.of_training < WHOLE:
            return True, f"about {self.of_training:.0%} of the training images"
        return False, f"about {self.of_other:.0%} of the {{}} images" if (
            0 < self.of_other < WHOLE
        ) else "the {} images"

    def oddest(self, train: Sample, other: Sample) -> tuple[str, ...]:
        """What the surest images of the part that differs are called."""
        is_training, _ = self.who
        sample, sure = (train, -self.ours) if is_training else (other, self.theirs)
        places = self.places[not is_training][sure.argsort(descending=True)[:LISTED]]
        return tuple(sample.names[place] for place in places.tolist()) if sample.names else ()


def _alike(ours: Tensor, theirs: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Places of as many images of each class in both splits, in any order."""
    found: tuple[list[Tensor], list[Tensor]] = [], []
    for label in torch.unique(ours).tolist():
        places = [(each == label).nonzero().flatten() for each in (ours, theirs)]
        count = min(len(each) for each in places)
        for kept, each in zip(found, places, strict=True):
            kept.append(each[torch.randperm(len(each), generator=generator)[:count]])
    a, b = (torch.cat(each) if each else torch.zeros(0, dtype=torch.long) for each in found)
    order = torch.randperm(len(a), generator=generator)[:MOST]
    return a[order], b[order]


def kinds_differ(apart: Apart, own: Confusions, theirs: Confusions, split: str) -> Finding:
    """That images are of two kinds; for certain where what is learnt suffers from it.

    Args:
        apart: the comparison; not of images that are alike.
        own: of a network taught some of the training images, on others of them.
        theirs: the same of the other split.
        split: its name.
    """
    is_training, who = apart.who
    low, high = (own, theirs) if is_training else (theirs, own)
    error = math.sqrt(max(low.accuracy * (1 - low.accuracy), 0.01) * (
        1 / max(1, own.images) + 1 / max(1, theirs.images)))  # fmt: skip
    than = f"those of {split}" if is_training else "those of training"
    return Finding(
        "splits_differ",
        f"{who.format(split)} are of another kind than {than}",
        f"a small network that learnt to tell images of training from those of {split} is right on "
        f"{apart.right:.0%} of others; chance is 50%",
        f"compare them with `cnntrain data show`, and look at how the files of {split} and of "
        "training were made",
        is_certain=high.accuracy - low.accuracy > max(LOWER, ERRORS * error),
        follows=("same_picture",),
    )
