"""Whether images have a way up: a small network can be taught how far they were turned.

Gidaris, Singh and Komodakis, "Unsupervised Representation Learning by Predicting Image Rotations",
2018. Where it cannot, they were taken from above, or the camera's note of how it was held was lost.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from cnntrain.diagnose.neighbours import Sample
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.small_net import STEPS, SmallNet

TURNS = 4

LEAST = 200
"""Images that can be asked about."""

SURE = 3.0
"""Standard errors above chance up to which nothing is known of how an image is turned."""


def any_way_up(train: Sample, *, seed: int) -> Finding | None:
    """A suspicion where all ways up are alike; None where they are not, or cannot be judged."""
    images = train.images
    count = len(images) // 2
    if images.shape[2] != images.shape[3] or count < LEAST:
        return None
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
    return Finding(
        "misread_pixels",
        "the images stand in any orientation: upright, upside down and on either side",
        f"a small network that learnt how far {count} of them had been turned is right on "
        f"{right:.0%} of {len(asked)} others; chance is {chance:.0%}",
        "if they have a way up, turn them as their EXIF data say when they are read; if they have "
        "not (from above, through a microscope), add `affine: {rotate: 180}` to training",
        is_certain=False,
    )


def _turned(images: Tensor, turns: Tensor) -> Tensor:
    """Each by so many right angles."""
    every = torch.stack([images.rot90(number, (2, 3)) for number in range(TURNS)])
    return every[turns, torch.arange(len(images))]
