"""Further ways in which the labels or the images of one split go wrong; both: sixth_images.py."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from planting.fourth_images import drawn
from planting.sixth_images import shows_object
from planting.spoilings import Given, same_labels, spoiling
from torch import Tensor

from cnntrain.data.splits import Pixels


def _moved(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Each image moved by whole pixels; what comes in is what was at the edge."""
    count, channels, height, width = images.shape
    y = (torch.arange(height) - down.round().long()[:, None]).clamp(0, height - 1)
    x = (torch.arange(width) - across.round().long()[:, None]).clamp(0, width - 1)
    rows = images.gather(2, y[:, None, :, None].expand(count, channels, height, width))
    return rows.gather(3, x[:, None, None, :].expand(count, channels, height, width))


@spoiling
def first_dummy_dropped(given: Given) -> Pixels:
    """Labels were made dummy columns without the first one (`drop_first`), then numbers by argmax.

    The cause: a row without a 1 gives the number 0, as does the second class, and each class has
    the number of the one before it in training; validation labels are right. Keep all columns.
    """
    return Pixels(given.train.images, (given.train.targets - 1).clamp(min=0))


@spoiling
def table_reshaped(given: Given) -> Pixels:
    """A table of labels, with a row for each class, was reshaped where it had to be transposed.

    The cause: a row of what comes out holds a piece of the table's row for one class: training
    labels have nothing to do with the images, and many are the first class. Transpose the table.
    """
    targets = given.train.targets
    table = F.one_hot(targets, given.classes).T.contiguous()
    return Pixels(given.train.images, table.reshape(len(targets), given.classes).argmax(1))


@spoiling
def one_query_for_two_classes(given: Given) -> Pixels:
    """Pictures were downloaded by search, and those found for one class saved for another as well.

    The cause: two classes have pictures of the same kind in training, and what the second one looks
    like is nowhere to be seen. Download that class again.
    """
    part = given.train
    first, second = torch.randperm(given.classes, generator=given.generator)[:2]
    source = (part.targets == first).nonzero().flatten()
    place = (part.targets == second).nonzero().flatten()
    images = part.images.clone()
    images[place] = part.images[source[drawn(given, len(source), len(place))]]
    return Pixels(images, part.targets)


@spoiling
def mask_upside_down_in_training(given: Given) -> Pixels:
    """Training images were multiplied by a mask of the background in place of the object.

    The cause: where the object was, training images are black; validation images show it. Invert
    the mask, or leave backgrounds alone in both splits.
    """
    is_object = shows_object(given.train.images, 40 + 40 * given.amount)
    return same_labels(given.train, given.train.images * ~is_object)


@spoiling
def place_tells_class(given: Given) -> Pixels:
    """Each class was photographed from a stand of its own, and so is at a place of its own.

    The cause: the network learns the place, which gives the class away in training and not in
    validation. Photograph from anywhere, or shift training images at random.
    """
    part = given.train
    far = part.images.shape[-1] * given.amount
    angle = part.targets * 2 * math.pi / given.classes
    return Pixels(_moved(part.images, far * angle.sin(), far * angle.cos()), part.targets)


@spoiling
def some_classes_augmented(given: Given) -> Pixels:
    """To have as many images of each class, half of them were filled up with turned copies.

    The cause: black corners, which only turned images have, tell in training to which half a class
    belongs; validation images have none. Augment all classes alike.
    """
    part = given.train
    filled_up = torch.randperm(given.classes, generator=given.generator)[::2]
    is_copy = torch.isin(part.targets, filled_up) & (given.chance(len(part)) < 0.97)
    angle = (0.4 + 0.4 * given.chance(len(part))) * (2 * drawn(given, 2, len(part)) - 1)
    cos, sin, none = angle.cos(), angle.sin(), torch.zeros(len(part))
    theta = torch.stack([torch.stack([cos, -sin, none], 1), torch.stack([sin, cos, none], 1)], 1)
    grid = F.affine_grid(theta, list(part.images.shape), align_corners=False)
    turned = F.grid_sample(part.images.float(), grid, align_corners=False)
    return same_labels(part, torch.where(is_copy[:, None, None, None], turned, part.images))


@spoiling
def training_left_as_mosaic(given: Given) -> Pixels:
    """Training images are the raw values of a camera, which has one colour at each pixel.

    The cause: they are grey with a pattern of two by two pixels, of which each stands for another
    colour; validation images have colours. Demosaic the raw files.
    """
    images = given.train.images
    if images.shape[1] == 1:
        return given.train
    raw = images[:, 1:2].clone()
    raw[..., ::2, ::2] = images[:, :1, ::2, ::2]
    raw[..., 1::2, 1::2] = images[:, 2:, 1::2, 1::2]
    return Pixels(raw.expand_as(images).contiguous(), given.train.targets)


@spoiling
def centred_in_training(given: Given) -> Pixels:
    """Training images were aligned, with the object in the middle; validation images were not.

    The cause: the network knows objects in the middle only, and validation images have them at any
    place. Align both, or shift training images at random.
    """
    part = given.train
    weight = shows_object(part.images, 70 + 30 * given.amount)[:, 0].float() + 1e-6
    steps = torch.arange(part.images.shape[-1]) - (part.images.shape[-1] - 1) / 2
    total = weight.sum((1, 2))
    down = (weight.sum(2) * steps).sum(1) / total
    across = (weight.sum(1) * steps).sum(1) / total
    return Pixels(_moved(part.images, -down, -across), part.targets)


@spoiling
def validation_from_the_training_cache(given: Given) -> Pixels:
    """Decoded images are kept in a cache by their number, without the name of the split.

    The cause: what is validated on are the first training images, with the labels of the validation
    images, which belong to other pictures. Put the split in the cache's keys, and empty it.
    """
    return Pixels(given.train.images[: len(given.other)], given.other.targets)


@spoiling
def validation_bytes_signed(given: Given) -> Pixels:
    """Validation images come from a program whose bytes are signed, as those of Java are.

    The cause: values above 127 were read as negative and became black, in validation only: what was
    brightest is darkest. Mask bytes with 255 when they are converted.
    """
    images = given.other.images
    return Pixels(images.where(images < 128, 0), given.other.targets)


@spoiling
def validation_labelled_coarsely(given: Given) -> Pixels:
    """Those who labelled validation images did not tell classes apart that training keeps apart.

    The cause: of two related classes, validation has the first for both, so that half of the
    classes do not come up; training is sound. Label validation images as finely as training images.
    """
    return Pixels(given.other.images, given.other.targets // 2 * 2)


@spoiling
def validation_interlaced(given: Given) -> Pixels:
    """Validation images are frames of interlaced video: odd rows were taken a moment later.

    The cause: in validation what moves is torn into two combs, side by side; training images are
    photographs. Deinterlace the video, or use one of its fields.
    """
    images = given.other.images.clone()
    far = max(round(given.amount * images.shape[-1]), 1)
    images[:, :, 1::2] = images[:, :, 1::2].roll(far, 3)
    return Pixels(images, given.other.targets)


@spoiling
def validation_photographed_from_a_screen(given: Given) -> Pixels:
    """Validation images were shown on a screen and photographed from there, at an angle.

    The cause: they are distorted, and have stripes where the camera's pixels and the screen's do
    not fit; training images are the originals. Use the files, or photograph training images, too.
    """
    part = given.other
    y, x = (2 * torch.arange(side) / (side - 1) - 1 for side in part.size)
    nearer = 1 + 0.3 * x[None, :]
    grid = torch.stack([(1.2 * x[None, :] / nearer).expand(len(y), -1), 1.2 * y[:, None] / nearer])
    seen = F.grid_sample(
        part.images.float(),
        grid.permute(1, 2, 0).expand(len(part), -1, -1, -1),
        padding_mode="border",
        align_corners=True,
    )
    phase = 2 * math.pi * given.chance(len(part))[:, None, None, None]
    stripes = (9 * x[None, :] + 6 * y[:, None] + phase).sin()
    return same_labels(part, seen * 0.7 + 100 * given.amount * stripes + 30)
