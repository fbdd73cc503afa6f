"""What an image's nearest neighbours among the pixels say of its label (Cover and Hart 1967).

And whether images of the split that measures are among those of training, or nearly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.diagnose.report import Finding
from cnntrain.show.words import counted

NEIGHBOURS = 10
SIDE = 16
"""Pixels a side to which images are brought before they are compared."""

PURE = 0.55
"""How far neighbours must be of one class to speak for it, from chance (0) to all (1)."""

NOISY = 0.08
"""Share of the images against whose label their neighbours speak."""

EVEN = 0.75
"""Entropy of the pairs of classes that are confused, as a share of the largest one: mistakes in
labels fall on all pairs, what looks alike on few."""

FEW = 5
"""Classes up to which the pairs are so few that what looks alike may fall on all of them."""

AS_OFTEN, ENOUGH = 0.5, 10
"""Wrong labels are as wrong where nearly all neighbours are of one class; where classes overlap,
images there are hardly ever of another one. So labels of few classes are accused only if those
against such neighbours (of at least so many images) are this share as frequent as against all. Of
480 random choices of two to five classes of CIFAR-10, with the labels it has, 63 would be accused
without it, 1 with it."""

UNANIMOUS = 1.6
"""Two classes are only one pair. There neighbours may be all of one class this much more often than
agreement ** `NEIGHBOURS`, which is how often they are if labels were changed by chance. It is 1.0
to 1.2 for pairs of handwritten digits with 15 % of the labels changed, 2 to 5 for photographs."""

TELLING = 0.4
"""Agreement of neighbours, from chance (0) to full (1), above which they can tell a label."""

WORSE = 0.3
"""How much less they agree where labels are other ones."""

FOUND = 0.01
"""Share of a split's images, from which on it is a fault."""

TWIN = 0.3
"""An image is nearly the same as another one, if it is this much nearer to it than to any third:
the ratio test of Lowe, "Distinctive Image Features from Scale-Invariant Keypoints", 2004, section
7.1. Its threshold there, 0.8, is for matches; copies saved again have less than 0.2, and different
images of handwritten digits or photographs more than 0.5, but for a few in a thousand."""

FEW_VALUES = 16
"""Images of fewer values are not judged so: of points spread evenly in D dimensions a share of
TWIN ** D are so near to another one by chance, 9 % for D = 2."""

FEWEST = 3
REMEDY = "take them out of training: the {} error is too good to be true"


@dataclass(frozen=True)
class Sample:
    """Images of a split, as evaluation prepares them.

    Args:
        split: its name.
        images: `(N, C, H, W)`.
        targets: `(N,)` classes; of other tasks `(N, ...)`.
        moved: by how many places labels would have been moved -> `(N,)`, the labels that the
            images would have then; -1 where there is none. Of numbers `(N, K)`, and NaN.
        names: what the images are called; none if not known.
    """

    split: str
    images: Tensor
    targets: Tensor
    moved: Mapping[int, Tensor] = field(default_factory=dict)
    names: Sequence[str] = ()

    def select(self, chosen: Tensor) -> Sample:
        """Those of these places, or where `(N,)` bool is true."""
        places = chosen.nonzero().flatten() if chosen.dtype == torch.bool else chosen
        return Sample(
            self.split,
            self.images[places],
            self.targets[places],
            {by: labels[places] for by, labels in self.moved.items()},
            [self.names[place] for place in places.tolist()] if self.names else (),
        )


@dataclass(frozen=True)
class Votes:
    """What the nearest neighbours of each image say: the class of most, and their share."""

    winner: Tensor
    share: Tensor
    chance: float

    def kappa(self, targets: Tensor) -> float:
        """The agreement beyond that of always naming the largest class (Cohen 1960, nearly)."""
        return (self.agreement(targets) - self.chance) / max(1e-6, 1 - self.chance)

    def agreement(self, targets: Tensor) -> float:
        """Share of the images whose label most of their neighbours have."""
        return float((self.winner == targets).float().mean())

    def contradicts(self, targets: Tensor) -> Tensor:
        """`(N,)` bool: the neighbours speak, and for another class."""
        return (self.winner != targets) & self.speaks

    @property
    def speaks(self) -> Tensor:
        """`(N,)` bool: so many neighbours are of one class that they mean something."""
        return self.share >= self.chance + PURE * (1 - self.chance)


def votes_of(among: Sample, of: Sample) -> Votes:
    """What the nearest images of `among` say of each image of `of`, itself apart."""
    count = max(1, min(NEIGHBOURS, len(among.images) - 1))
    nearest = distances(among, of).topk(count, largest=False).indices
    best = F.one_hot(among.targets[nearest]).sum(dim=1).max(dim=1)
    chance = float(torch.bincount(among.targets).max()) / max(1, len(among.targets))
    return Votes(best.indices, best.values / count, chance)


def distances(among: Sample, of: Sample) -> Tensor:
    """`(of, among)`: Euclidean, between the pixels of small images; infinite to itself."""
    found = torch.cdist(_features(of.images), _features(among.images))
    return found.fill_diagonal_(math.inf) if among is of else found


def _features(images: Tensor) -> Tensor:
    small = images.float()
    if max(images.shape[2:]) > SIDE:
        small = F.adaptive_avg_pool2d(small, SIDE)
    return small.flatten(1)


def suspicious_labels(train: Sample, votes: Votes, classes: Sequence[str]) -> Iterator[Finding]:
    """Labels that were moved along, or some that are wrong; `votes` are what the images say."""
    if len(classes) < 2 or not train.images.isfinite().all():
        return
    now = max(0.0, votes.kappa(train.targets))
    moved = {by: _kappa_if_moved(train, labels) for by, labels in train.moved.items()}
    best = max(moved, key=lambda by: moved[by], default=0)
    if best and moved[best] > TELLING and moved[best] > now + WORSE:
        yield Finding(
            "labels_shifted",
            f"labels and images are out of step: moved {places(best)}, the labels fit",
            f"nearest neighbours agree on labels to {now:.0%} of what is possible beyond chance; "
            f"with the labels moved, to {moved[best]:.0%}",
            "look at how images and labels are put together: one of the two lists lacks an entry, "
            "or was sorted otherwise",
        )
        return
    wrong = votes.contradicts(train.targets)
    share = float(wrong.float().mean())
    pairs = train.targets[wrong] * len(classes) + votes.winner[wrong]
    if now < TELLING or share < NOISY or _evenness(pairs, len(classes)) < EVEN:
        return
    if len(classes) > FEW or _is_by_chance(votes, train, classes):
        yield Finding(
            "labels_noisy",
            f"about {share * len(wrong) / int(votes.speaks.sum()):.0%} of the labels look wrong",
            f"of {int(votes.speaks.sum()):,} images whose {NEIGHBOURS} nearest are of one class "
            f"{int(wrong.sum()):,} have another label, and it happens to all classes alike, so it "
            "is no likeness",
            "correct the labels of the images that `--check data` lists and `--html` shows; "
            "label_smoothing and early_stop help a little",
            follows=("same_picture",),
        )


def places(by: int) -> str:
    """How far labels are moved, in words, such as `2 places back`."""
    return f"{counted(abs(by), 'place')} {'back' if by < 0 else 'on'}"


def _kappa_if_moved(train: Sample, labels: Tensor) -> float:
    known = labels >= 0
    if not known.any():
        return 0.0
    images = Sample(train.split, train.images[known], labels[known])
    return votes_of(images, images).kappa(images.targets)


def _is_by_chance(votes: Votes, train: Sample, classes: Sequence[str]) -> bool:
    """Whether labels are wrong wherever images lie, and not where classes overlap."""
    agreement = votes.agreement(train.targets)
    nearly_all = votes.share > 1 - 1.5 / NEIGHBOURS
    wrong = int((votes.winner != train.targets)[nearly_all].sum())
    expected = AS_OFTEN * (1 - agreement) * int(nearly_all.sum())
    if int(nearly_all.sum()) < ENOUGH or wrong < expected:
        return False
    unanimous = float((votes.share > 1 - 0.5 / NEIGHBOURS).float().mean())
    return len(classes) > 2 or unanimous <= UNANIMOUS * agreement**NEIGHBOURS


def _evenness(pairs: Tensor, classes: int) -> float:
    """Entropy of pairs of classes over that of an even spread; 1 where there is only one."""
    if classes <= 2:
        return 1.0
    shares = torch.bincount(pairs).double() / max(1, len(pairs))
    entropy = -(shares * shares.clamp_min(1e-12).log()).sum()
    return float(entropy) / math.log(classes * (classes - 1))


def leaks(
    train: Sample,
    other: Sample | None,
    *,
    counts: Mapping[str, Sequence[int]],
    shared: Mapping[str, Sequence[tuple[str, str]]],
) -> Iterator[Finding]:
    """Test images among the training images; see the check `data`."""
    for split, pairs in shared.items():
        if pairs:
            images = sum(counts[split])
            yield Finding(
                "test_in_train",
                f"{len(pairs)} of the {images} {split} images are training images, too",
                f"such as {pairs[0][1]}, which is {pairs[0][0]} of training",
                REMEDY.format(split) + " (`cnntrain data check` lists them)",
                is_certain=len(pairs) >= FOUND * images,
            )
    if other is not None and not any(shared.values()):
        yield from _nearly_the_same(train, other)


def _nearly_the_same(train: Sample, other: Sample) -> Iterator[Finding]:
    """Copies that were saved again, scaled or cut a little."""
    is_finite = train.images.isfinite().all() and other.images.isfinite().all()
    if len(train.images) < 2 or not len(other.images) or not is_finite:
        return
    if train.images[0].numel() < FEW_VALUES:
        return
    nearest, second = distances(train, other).topk(2, largest=False).values.unbind(dim=1)
    twins = int((nearest < TWIN * second).sum())
    if twins >= max(FEWEST, math.ceil(FOUND * len(other.images))):
        ratio = float((nearest / second.clamp_min(torch.finfo(second.dtype).tiny)).min())
        yield Finding(
            "test_in_train",
            f"{twins} of {len(other.images)} {other.split} images are nearly the same as a "
            "training image",
            f"they are at least {1 / TWIN:.0f} times as near to it as to the next one (the nearest "
            f"{1 / max(ratio, 1e-3):.0f} times), among {len(train.images)} training images that "
            "were looked at",
            REMEDY.format(other.split) + "; look for copies that were saved again or scaled",
        )
