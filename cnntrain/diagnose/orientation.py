"""Whether images stand in any orientation although they have a way up.

A small network can be taught how far images with a way up were turned (Gidaris, Singh and
Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations", 2018). Where it
cannot, they have none, or were taken from above, or the camera's note of how it was held was lost.
Of what shows nothing that could be turned no orientation is said: there turned copies of the
training images teach nothing about others.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import STEPS, PartTaught, SmallNet, reduced

TURNS = 4

LEAST = 200
"""Images that can be asked about."""

SURE = 3.0
"""Standard errors above chance up to which nothing is known of how an image is turned."""

HELPS = 2.0
"""Standard errors by which turned copies must make a small network better at the classes."""


def any_way_up(train: Sample, part: PartTaught, *, seed: int) -> Finding | None:
    """A suspicion where all ways up are alike; None where they are not, or cannot be judged.

    Args:
        train: training images.
        part: what is learnt of them, and what is asked.
        seed: of the small networks.
    """
    count = len(train.images) // 2
    if train.images.shape[2] != train.images.shape[3] or count < LEAST:
        return None
    images = reduced(train.images)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(images), generator=generator)
    turns = torch.randint(TURNS, (len(images),), generator=generator)
    turned = _turned(images, turns)
    learnt, asked = order[:count], order[count:]
    net = SmallNet(turned[learnt], turns[learnt], classes=TURNS, steps=STEPS, seed=seed)
    right = float((net.answers(turned[asked]) == turns[asked]).double().mean())
    chance = 1 / TURNS
    if right > chance + SURE * math.sqrt(chance * (1 - chance) / len(asked)):
        return None
    before, after = (
        _known(images, train.targets, part, copies=copies, seed=seed) for copies in (1, TURNS)
    )
    error = math.sqrt(2 * max(before * (1 - before), 0.01) / len(part.kept))
    if after - before < HELPS * error:
        return None
    return Finding(
        "misread_pixels",
        "the images stand in any orientation: upright, upside down and on either side",
        f"a small network that learnt how far {count} of them had been turned is right on "
        f"{right:.0%} of {len(asked)} others (chance is {chance:.0%}); of the classes it knows "
        f"{before:.0%} after it has seen the training images as they are, and {after:.0%} after it "
        "has seen each in all four ways",
        "if they have a way up, turn them as their EXIF data say when they are read; if they have "
        "not (from above, through a microscope), add `affine: {rotate: 180}` to training",
        is_certain=False,
    )


def _known(images: Tensor, targets: Tensor, part: PartTaught, *, copies: int, seed: int) -> float:
    """The share of the images asked that is right, after a long training with turned copies."""
    taught, kept = part.taught.repeat(copies), part.kept
    turns = torch.arange(copies).repeat_interleave(len(part.taught))
    order = torch.randperm(len(taught), generator=torch.Generator().manual_seed(seed))
    given = _turned(images[taught], turns)[order], targets[taught][order]
    net = SmallNet(*given, classes=part.net.classes, steps=2 * STEPS, seed=seed)
    return float((net.answers(images[kept]) == targets[kept]).double().mean())


def _turned(images: Tensor, turns: Tensor) -> Tensor:
    """Each by so many right angles."""
    found = images.clone()
    for number in range(1, TURNS):
        found[turns == number] = images[turns == number].rot90(number, (2, 3))
    return found
