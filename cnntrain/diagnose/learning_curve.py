"""How much of other images a network gets wrong, and how that falls with the images it learns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.data.stratify import stratified_split
from cnntrain.diagnose.modules import logits_of
from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.small_net import STEPS, SmallNet

GAP, SURE = 0.15, 4.0
"""By how much more other images must be wrong, in shares of guessing; and in standard errors."""

STEEP, CLEAR = 1.4, 2.0
"""The error with half of the images must be this many times that with all of them, and so many
standard errors above it, for more to help."""

SEEDS = (0, 1)
"""Of two small networks each, so that chance in one does not decide."""

BATCH = 64


@dataclass(frozen=True)
class Judged:
    """Shares of wrong images of training and of the other split, and with one answer to all.

    `answers` are those for the other split; `common` is the most frequent class of training.
    """

    train: float
    other: float
    guess_train: float
    guess: float
    answers: Tensor
    common: int

    @property
    def error(self) -> float:
        """Standard error of `other`."""
        return math.sqrt(max(self.other * (1 - self.other), 0.01) / len(self.answers))

    @property
    def margin(self) -> float:
        """How much higher than that of training `other` may be."""
        return max(GAP * self.guess, SURE * self.error)

    @property
    def has_gap(self) -> bool:
        """Whether other images are clearly more often wrong than those of training."""
        return self.other - self.train > self.margin

    @property
    def is_learnt(self) -> bool:
        """Whether most of the training images are known, of those that guessing does not know."""
        return self.train < 0.5 * self.guess_train


@dataclass(frozen=True)
class LearningCurve:
    """Errors of the small network on the other split, by the training images that it learnt."""

    half: float | None
    whole: float
    error: float

    @property
    def is_steep(self) -> bool:
        """Whether more images would clearly help."""
        if self.half is None:
            return False
        return self.half > max(STEEP * self.whole, self.whole + CLEAR * self.error)

    def said(self, images: int) -> str:
        """In words, for so many training images."""
        if self.half is None:
            return f"a small network that learnt them is wrong on {self.whole:.0%}"
        said = f"a small network is wrong on {self.half:.0%} after learning half of the {images}, "
        said += f"on {self.whole:.0%} after all"
        if self.is_steep:
            said += f": at that pace twice as many bring {self.whole**2 / self.half:.0%}"
        return said


def judge_both(net: nn.Module, train: Sample, other: Sample) -> Judged:
    """Let a network answer for the images of both, in the modes that its modules are in."""
    common = int(torch.bincount(train.targets).argmax())
    ours, theirs = (_answers(net, sample) for sample in (train, other))
    return Judged(
        _share(ours != train.targets),
        _share(theirs != other.targets),
        _share(train.targets != common),
        _share(other.targets != common),
        answers=theirs,
        common=common,
    )


def _share(images: Tensor) -> float:
    return float(images.double().mean())


def _answers(net: nn.Module, sample: Sample) -> Tensor:
    """The class of each image; batches are mixed, since normalisation may look at them."""
    device = next(net.parameters()).device
    order = torch.randperm(len(sample.targets), generator=torch.Generator().manual_seed(0))
    parts = torch.split(order, BATCH)
    batches = [Batch(sample.images[part].to(device), sample.targets[part]) for part in parts]
    answers = torch.empty_like(sample.targets)
    answers[order] = logits_of(net, batches)[0].argmax(dim=1).cpu()
    return answers


def learning_curve(train: Sample, other: Sample, *, classes: int, seed: int) -> LearningCurve:
    """Two small networks each, so that chance in one does not decide."""
    count, present = len(train.targets), int((torch.bincount(train.targets) > 0).sum())
    away, everything = min(count // 2, count - present), torch.arange(count)

    def error(half: bool) -> float:
        wrong = []
        for each in SEEDS:
            kept = everything
            if half:
                kept, _ = stratified_split(
                    train.targets, held_out=away, num_classes=classes, seed=seed + each
                )
            small = SmallNet(
                train.images[kept], train.targets[kept], classes=classes, steps=STEPS // 2,
                seed=seed + each,
            )  # fmt: skip
            wrong.append(float((small.answers(other.images) != other.targets).double().mean()))
        return sum(wrong) / len(wrong)

    whole = error(half=False)
    noise = math.sqrt(max(whole * (1 - whole), 0.01) / len(other.targets))
    return LearningCurve(error(half=True) if 3 * away >= count else None, whole, noise)
