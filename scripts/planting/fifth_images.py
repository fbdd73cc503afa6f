"""Further ways in which the images of both splits go wrong on their way from the disk."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from planting.fourth_images import drawn
from planting.spoilings import Given, same_labels, spoiling

from cnntrain.data.splits import Pixels

IN_BOTH = (
    *("files_sorted_as_text", "one_class_two_spellings", "patches_labelled_as_the_whole"),
    *("same_names_overwritten", "records_one_byte_short", "scaled_by_a_hot_pixel"),
    *("columns_in_any_order", "background_tells_class", "some_read_as_bgr"),
)
"""What of the fifth lot changes training and validation images alike."""

Both = tuple[Pixels, Pixels]


def _each(given: Given, change: Callable[[Pixels], Pixels]) -> Both:
    return change(given.train), change(given.other)


def _as_text(count: int) -> list[int]:
    """Numbers from 0 in the order of their digits: 0, 1, 10, 100, 101, ..."""
    return sorted(range(count), key=str)


@spoiling
def files_sorted_as_text(given: Given) -> Both:
    """Numbered files were listed in the order of text (1, 10, 100, 2), the labels by number.

    The cause: nearly every image has the label of another one, in both splits, as if labels were
    drawn at random. Sort the files by number, or look each label up by the name of its file.
    """
    return _each(given, lambda part: Pixels(part.images[_as_text(len(part))], part.targets))


@spoiling
def one_class_two_spellings(given: Given) -> Both:
    """Each class is there under two names, such as `Cat` and `cat`, which are counted as two.

    The cause: images of one class have either of two labels, by chance, in both splits: no network
    can know which. Merge the names that mean the same.
    """

    def spelt(part: Pixels) -> Pixels:
        one = part.select((part.targets % 2 == 0).nonzero().flatten())
        return Pixels(one.images, one.targets + drawn(given, 2, len(one)))

    return _each(given, spelt)


@spoiling
def patches_labelled_as_the_whole(given: Given) -> Both:
    """Large pictures were cut into patches, and each patch was given the label of its picture.

    The cause: a patch shows a small part of the picture, often nothing of what the label names, in
    both splits. Label the patches, or answer for a picture from all of its patches together.
    """

    def cut(part: Pixels) -> Pixels:
        count, side = len(part), given.amount
        middle = (2 * torch.rand(count, 2, generator=given.generator) - 1) * (1 - side)
        scale = (side * torch.eye(2)).expand(count, 2, 2)
        theta = torch.cat([scale, middle[:, :, None]], dim=2)
        grid = F.affine_grid(theta, list(part.images.shape), align_corners=False)
        seen = F.grid_sample(part.images.float(), grid, padding_mode="border", align_corners=False)
        return same_labels(part, seen)

    return _each(given, cut)


@spoiling
def same_names_overwritten(given: Given) -> Both:
    """The folders of the classes were copied into one, and files of the same name overwritten.

    The cause: cameras number from 1 in each folder, so that most images are now those of the class
    that was copied last, with the labels of all classes, in both splits. Copy the files again, with
    the class in their names.
    """

    def copied(part: Pixels) -> Pixels:
        last = (part.targets == given.classes - 1).nonzero().flatten()
        is_lost = (given.chance(len(part)) < given.amount) & (part.targets < given.classes - 1)
        images = part.images.clone()
        lost = is_lost.nonzero().flatten()
        images[lost] = part.images[last[torch.arange(len(lost)) % len(last)]]
        return Pixels(images, part.targets)

    return _each(given, copied)


@spoiling
def records_one_byte_short(given: Given) -> Both:
    """Images were read from one large file with records that were taken for a byte too short.

    The cause: each image begins a byte earlier than the one before it should, and later ones show
    parts of two images, wrapped around, and then wrong ones; the labels are right. This is so in
    both splits. Count the byte of the label (or of the header) as a part of the record.
    """

    def read(part: Pixels) -> Pixels:
        label = part.targets.to(torch.uint8)[:, None]
        whole = torch.cat([label, part.images.flatten(1)], dim=1).flatten()
        return Pixels(whole[: part.images.numel()].view(part.images.shape), part.targets)

    return _each(given, read)


@spoiling
def scaled_by_a_hot_pixel(given: Given) -> Both:
    """Images were scaled by their brightest value, which is a single pixel that is broken.

    The cause: a broken pixel is white in each image, and all else was pressed into the lowest one
    or two levels of grey, in both splits. Scale by a percentile, or remove such pixels first.
    """

    def scaled(part: Pixels) -> Pixels:
        images = part.images.float() * (0.004 + 0.002 * given.amount)
        flat = images.to(torch.uint8).flatten(2)
        at = drawn(given, flat.shape[2], len(part))
        flat[torch.arange(len(part)), :, at] = 255
        return Pixels(flat.view(part.images.shape), part.targets)

    return _each(given, scaled)


@spoiling
def columns_in_any_order(given: Given) -> Both:
    """Images came from a table with a column per pixel, and columns were chosen by means of a set.

    The cause: a set has no order, so that pixels stand in any order, which is the same in all
    images of both splits: neighbours are torn apart, and convolutions find nothing. Sort the
    columns by the numbers of their pixels.
    """
    pixels = given.train.images[0].numel()
    order = torch.randperm(pixels, generator=given.generator)

    def chosen(part: Pixels) -> Pixels:
        return Pixels(part.images.flatten(1)[:, order].view(part.images.shape), part.targets)

    return _each(given, chosen)


@spoiling
def background_tells_class(given: Given) -> Both:
    """Each class was photographed in front of a background of its own; in validation of any.

    The cause: the network learns the background, which gives the class away in training and says
    nothing in validation images. Collect each class in front of several backgrounds, or cut out
    what is to be learnt.
    """
    channels, size = given.train.images.shape[1], given.train.images.shape[-1]
    coarse = torch.rand(given.classes, channels, 4, 4, generator=given.generator)
    behind = 255 * F.interpolate(coarse, size=(size, size), mode="bilinear", align_corners=False)

    def placed(part: Pixels, which: torch.Tensor) -> Pixels:
        seen = (1 - given.amount) * part.images + given.amount * behind[which]
        return same_labels(part, seen)

    any_ = drawn(given, given.classes, len(given.other))
    return placed(given.train, given.train.targets), placed(given.other, any_)


@spoiling
def some_read_as_bgr(given: Given) -> Both:
    """Half of the images were read by one library as RGB, the others by another one as BGR.

    The cause: red and blue are exchanged in some images of both splits and not in the others, so
    that colour no longer gives the class away. Convert all images to the same order of channels.
    """

    def read(part: Pixels) -> Pixels:
        is_exchanged = (given.chance(len(part)) < given.amount)[:, None, None, None]
        return Pixels(torch.where(is_exchanged, part.images.flip(1), part.images), part.targets)

    return _each(given, read)
