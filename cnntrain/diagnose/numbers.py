"""Numbers that images are learnt with: how they lie, and whether they belong to their images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from cnntrain.diagnose.neighbours import NEIGHBOURS, Sample, distances, places
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import STEPS, SmallNet

SCALE, OFF_CENTRE = (0.05, 20.0), 20.0
"""Deviation of numbers that a network learns well as they are, and their mean."""

SOME, HELD, VALUES = 0.01, 0.7, 10
"""This share of the images may hold at most so much of the squared deviation of a number that has
more values than that. Of normal numbers they hold 9 %, of log-normal ones (sigma 1) about 50 %."""

UNITS = (("mean", 0.0), ("scale", 1.0))
"""What a task may have that learns (number - mean) / scale, and what stands for it else."""

TELLING, BETTER = 0.2, 0.3
"""R2 of neighbours from which on they tell a number, and by how much more where numbers are moved
for them to be out of step."""


@dataclass(frozen=True)
class NumberNet:
    """The doctor's small network, which has learnt numbers."""

    net: SmallNet
    mean: Tensor
    scale: Tensor

    @staticmethod
    def of(images: Tensor, numbers: Tensor, *, seed: int, times: float = 1.0) -> NumberNet:
        """Taught `images` `(N, C, H, W)` with their `numbers` `(N, K)`."""
        mean, scale = numbers.mean(dim=0), numbers.std(dim=0, correction=0).clamp_min(1e-12)
        steps = round(times * STEPS)
        wanted = (numbers - mean) / scale
        net = SmallNet(images, wanted, classes=numbers.shape[1], steps=steps, seed=seed)
        return NumberNet(net, mean, scale)

    def given(self, images: Tensor) -> Tensor:
        """What it says of images, `(N, K)` in the units of the numbers."""
        return self.net.outputs(images) * self.scale + self.mean

    def errors(self, images: Tensor, numbers: Tensor) -> Tensor:
        """`(N,)`: squared errors in deviations of what was learnt, 1 for always giving its mean."""
        return self.errors_of(self.given(images), numbers)

    def errors_of(self, given: Tensor, numbers: Tensor) -> Tensor:
        """The same of what was given."""
        return ((given - numbers) / self.scale).square().mean(dim=1)


def number_findings(train: Sample, *, names: Sequence[str], task: object) -> Iterator[Finding]:
    """What is odd about the numbers of training images.

    Args:
        train: some of the training images.
        names: of the numbers.
        task: that learns them; one with `mean` and `scale` learns (number - mean) / scale.
    """
    numbers = train.targets.double()
    deviation = numbers.std(dim=0, correction=0)
    still = [i for i, value in enumerate(deviation.tolist()) if value == 0]
    for place in still[:1]:
        yield Finding(
            "targets_odd",
            f"'{names[place]}' is {float(numbers[0, place]):.4g} for every image",
            f"so it is in all of {len(numbers):,} training images; there is nothing to be learnt",
            "look at the column of the table, or leave it out",
        )
    yield from _unscaled(numbers, names, task)
    for place, name in enumerate(names):
        if place not in still:
            yield from _far_off(numbers[:, place], name)
    yield from _out_of_step(train)


def _unscaled(numbers: Tensor, names: Sequence[str], task: object) -> Iterator[Finding]:
    mean, scale = (getattr(task, key, torch.tensor(usual)).double() for key, usual in UNITS)
    learnt = (numbers - mean) / scale
    centre, deviation = learnt.mean(dim=0), learnt.std(dim=0, correction=0)
    variance = deviation.square()
    far = torch.maximum(deviation / SCALE[1], SCALE[0] / deviation.clamp_min(1e-12))
    far = torch.maximum(far, centre.abs() / OFF_CENTRE)
    far = far.where(deviation > 0, 0.0)
    worst = int(far.argmax())
    if far[worst] > 1:
        yield Finding(
            "targets_not_scaled",
            f"'{names[worst]}' has mean {float(centre[worst]):.3g} and deviation "
            f"{float(deviation[worst]):.3g} as it is learnt; it should be near 0 and 1",
            f"outputs begin near 0; of squared errors the variance, {float(variance[worst]):.3g}, "
            "is what always giving the mean costs",
            "let the task scale them, which reports in their units all the same: "
            "`-s task.normalize=true`",
            overrides=("task.normalize=true",),
        )


def _far_off(values: Tensor, name: str) -> Iterator[Finding]:
    """A few images that hold most of what is to be learnt."""
    away = (values - values.median()).square().sort(descending=True).values
    few = max(1, round(SOME * len(values)))
    held = float(away[:few].sum() / away.sum())
    if held > HELD and len(set(values.tolist())) > VALUES:
        inner = values[(values - values.median()).square() <= away[few]]
        yield Finding(
            "targets_odd",
            f"{few} of {len(values):,} images hold {held:.0%} of what is to be learnt of '{name}'",
            f"all others lie between {float(inner.min()):.4g} and {float(inner.max()):.4g}, these "
            f"reach from {float(values.min()):.4g} to {float(values.max()):.4g}",
            "look at the table: another unit, a lost decimal point, a number that stands for "
            "'unknown'? If they are right, learn their logarithm, or use `-s train.loss.name=mae`",
            is_certain=False,
        )


def _out_of_step(train: Sample) -> Iterator[Finding]:
    """Numbers that stand some places away from their images, by the nearest of other images."""
    if not train.images.isfinite().all() or len(train.targets) <= NEIGHBOURS:
        return
    now = neighbours_explain(train.images, train.targets)
    moved = {by: neighbours_explain(train.images, each) for by, each in train.moved.items()}
    best = max(moved, key=lambda by: moved[by], default=0)
    if best and moved[best] > max(TELLING, max(now, 0.0) + BETTER):
        yield Finding(
            "labels_shifted",
            f"numbers and images are out of step: moved {places(best)}, the numbers fit",
            f"the {NEIGHBOURS} nearest neighbours of an image explain {max(now, 0.0):.0%} of the "
            f"variance of its numbers, and {moved[best]:.0%} with the numbers moved",
            "look at how images and numbers are put together: one of the two lists lacks an entry, "
            "or was sorted otherwise",
        )


def neighbours_explain(images: Tensor, numbers: Tensor) -> float:
    """R2 of the mean of the nearest images' numbers, the mean over the numbers; NaN is left out."""
    known = ~numbers.isnan().any(dim=1)
    sample = Sample("", images[known], numbers[known])
    if len(sample.targets) <= NEIGHBOURS:
        return 0.0
    nearest = distances(sample, sample).topk(NEIGHBOURS, largest=False).indices
    left = (sample.targets[nearest].mean(dim=1) - sample.targets).square().mean(dim=0)
    variance = sample.targets.var(dim=0, correction=0)
    return float((1 - left / variance.clamp_min(1e-12))[variance > 0].mean())
