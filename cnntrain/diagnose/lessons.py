"""Small networks that learn the same images prepared in different ways, and what they say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from cnntrain.data import TRANSFORMS
from cnntrain.data.stratify import stratified_split
from cnntrain.diagnose.small_net import STEPS, Confusions, SmallNet
from cnntrain.diagnose.training_views import Steps, TrainingViews, is_random

KEPT = 0.3
"""Share of the images that no network learns; all are asked about the same ones."""

EPOCHS, FEW_EPOCHS = 6, 3
"""So often images are augmented; fewer times where a transform takes them one by one."""

FRESH = 1000
"""Epoch whose random numbers prepare what was kept."""

LOSS, SURE = 0.04, 3.0
"""A network is worse than another one if it loses this share of what that one has above guessing,
and so many standard errors of the difference, image by image (McNemar 1947)."""

OF_PAIR = 0.2
"""It also is, if of the images of two classes this share is taken for the other one of the two."""

EXCHANGED, OF_MISTAKES, KNOWS = 0.12, 0.5, 0.2
"""Two classes are carried into each other if this share of their images is taken for the other one,
of either at least a third of that, and these are so many of the mistakes; where all classes are
lost, which is below this on the way from guessing (0) to always right, no two of them are named."""


@dataclass(frozen=True)
class Replies:
    """What a network says of the images that were kept: two tensors `(N,)`."""

    targets: Tensor
    given: Tensor
    classes: int

    @cached_property
    def confusions(self) -> Confusions:
        """Counted."""
        return Confusions.of(self.targets, self.given, classes=self.classes)

    @property
    def accuracy(self) -> float:
        """Share that is right, the mean over the classes."""
        return self.confusions.accuracy

    def is_worse_than(self, other: Replies) -> bool:
        """Whether so much of what the other one knows is unknown here, and not by chance."""
        ours, theirs = self.given == self.targets, other.given == self.targets
        kept = self.confusions.kappa / max(other.confusions.kappa, 1e-6)
        if kept <= 1 - LOSS and _errors(theirs & ~ours, ours & ~theirs) >= SURE:
            return True
        a, b = self.confused_more_than(other)
        pair = torch.isin(self.targets, torch.tensor([a, b]))
        partner = a + b - self.targets
        lost = pair & theirs & (self.given == partner)
        won = pair & ours & (other.given == partner)
        share = float(lost.sum() - won.sum()) / max(1, int(pair.sum()))
        return share >= OF_PAIR and _errors(lost, won) >= SURE

    def confused_more_than(self, other: Replies) -> tuple[int, int]:
        """The two classes of which more are taken for each other here, as a share of them."""
        more = _shares(self.confusions.counts) - _shares(other.confusions.counts)
        both = (more + more.T).fill_diagonal_(-math.inf)
        a, b = divmod(int(both.argmax()), self.classes)
        return min(a, b), max(a, b)

    def exchanged(self, a: int, b: int) -> tuple[float, float]:
        """The share of the images of class a that are taken for b, and of b for a."""
        shares = _shares(self.confusions.counts)
        return float(shares[a, b]), float(shares[b, a])

    def exchanges(self, a: int, b: int) -> bool:
        """Whether images of two classes are taken for the other one, and not for just any other."""
        there, back = self.exchanged(a, b)
        right = self.confusions.recall(a) + self.confusions.recall(b)
        is_most = there + back >= OF_MISTAKES * (2 - right)
        if self.classes > 2 and self.confusions.kappa < KNOWS:
            return False
        return is_most and there + back >= 2 * EXCHANGED and min(there, back) >= EXCHANGED / 3


def _shares(counts: Tensor) -> Tensor:
    return counts / counts.sum(dim=1, keepdim=True).clamp_min(1)


def _errors(lost: Tensor, won: Tensor) -> float:
    """Standard errors of the difference of two counts of images on which two networks differ."""
    a, b = int(lost.sum()), int(won.sum())
    return (a - b) / math.sqrt(a + b) if a + b else 0.0


class Lessons:
    """The images of `views` whose class has enough of them, some to learn and some to ask about."""

    def __init__(self, views: TrainingViews, *, classes: int, least: int, seed: int) -> None:
        """Classes of less than `least` images are left out.

        Raises:
            ValueError: there are too few images.
        """
        frequent = torch.bincount(views.targets, minlength=classes) >= least
        self.views = replace(views, part=views.part.select(
            frequent[views.targets].nonzero().flatten()))  # fmt: skip
        self.classes, self._seed = classes, seed
        self.taught, self.kept = stratified_split(
            self.views.targets, held_out=KEPT, num_classes=classes, seed=seed
        )
        self.targets = self.views.targets[self.kept]

    def prepared(self, steps: Steps) -> Tensor:
        """The kept images `(N, C, s, s)`."""
        return self.views.seen(steps, among=self.kept, epochs=[FRESH])

    def teach(self, steps: Steps, *, times: int = 1) -> SmallNet:
        """A network that has learnt the others, so many times as long as usual."""
        epochs = range(1, 1 + _epochs(steps))
        return SmallNet(
            self.views.seen(steps, among=self.taught, epochs=epochs),
            self.views.targets[self.taught].repeat(len(epochs)),
            classes=self.classes,
            steps=times * STEPS,
            seed=self._seed,
        )

    def ask(self, net: SmallNet, images: Tensor) -> Replies:
        """What a network says of the kept images, prepared in some way."""
        return Replies(self.targets, net.answers(images), self.classes)


def _epochs(steps: Steps) -> int:
    random = [step for step in steps if is_random(step)]
    names: Sequence[str] = [str(step["name"]) for step in random]
    is_slow = any(TRANSFORMS.entry(name).options.get("by_image") for name in names)
    return 1 if not random else FEW_EPOCHS if is_slow else EPOCHS
