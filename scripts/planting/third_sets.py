"""Still more ways in which images, labels and splits go wrong before anyone trains on them."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from planting.spoilings import Given, same_labels, spoiling
from torch import Tensor

from cnntrain.data.splits import Pixels

BOTH_PARTS = ("images_reshaped", "floats_cast_to_bytes", "low_byte_kept", "boxes_misread")
"""What of this file changes training and validation images alike."""


def _resized(images: Tensor, side: int) -> Tensor:
    return F.interpolate(images.float(), size=(side, side), mode="bilinear", antialias=True)


@spoiling
def images_reshaped(given: Given) -> tuple[Pixels, Pixels]:
    """An array (row, column, channel, image) was reshaped to images first, not transposed.

    Each image is made of one pixel of many images: nothing is to be seen, in either split.
    """

    def misread(part: Pixels) -> Pixels:
        last = part.images.permute(2, 3, 1, 0).contiguous()
        return Pixels(last.reshape(part.images.shape), part.targets)

    return misread(given.train), misread(given.other)


@spoiling
def floats_cast_to_bytes(given: Given) -> tuple[Pixels, Pixels]:
    """Pixels were divided by the image's maximum and then cast to integers.

    Of each image there is left a 1 where it was brightest, and 0 elsewhere, in either split.
    """

    def cast(part: Pixels) -> Pixels:
        most = part.images.amax((1, 2, 3), keepdim=True).clamp(min=1)
        return Pixels(part.images // most, part.targets)

    return cast(given.train), cast(given.other)


@spoiling
def low_byte_kept(given: Given) -> tuple[Pixels, Pixels]:
    """Of images of 16 bits only the low byte was kept: brightness wraps around many times.

    What the images show is gone but for some edges, in either split.
    """
    factor = 16 + round(40 * given.amount)

    def wrapped(part: Pixels) -> Pixels:
        return same_labels(part, part.images.int() * factor % 256)

    return wrapped(given.train), wrapped(given.other)


@spoiling
def boxes_misread(given: Given) -> tuple[Pixels, Pixels]:
    """Objects were cut out along boxes whose numbers were read in the wrong order.

    Most images show what lies beside the object and a part of it at most, in either split.
    """

    def cut(part: Pixels) -> Pixels:
        size = part.images.shape[-1]
        found = part.images.clone()
        angle = 2 * torch.pi * given.chance(len(part))
        far = size * (0.9 * given.amount + 0.5 * given.amount * given.chance(len(part)))
        steps = torch.arange(size)
        y = (steps + (far * angle.sin()).round().long()[:, None]).clamp(0, size - 1)
        x = (steps + (far * angle.cos()).round().long()[:, None]).clamp(0, size - 1)
        for place in range(len(part)):
            found[place] = part.images[place][:, y[place]][:, :, x[place]]
        return Pixels(found, part.targets)

    return cut(given.train), cut(given.other)


@spoiling
def in_two_folders(given: Given) -> Pixels:
    """Training images were unpacked twice, the second time into the folders of the next classes.

    The same image is given two labels, of which one is wrong.
    """
    part = given.train
    again = (given.chance(len(part)) < given.amount).nonzero().flatten()
    other = (part.targets[again] + 1) % given.classes
    return Pixels(torch.cat([part.images, part.images[again]]), torch.cat([part.targets, other]))


@spoiling
def pseudo_labelled(given: Given) -> Pixels:
    """Training labels come from a poor classifier: the nearest of one labelled image per class.

    Many are wrong, and not by chance: they follow what the images look like.
    """
    part = given.train
    pixels = part.images.flatten(1).float()
    firsts = [int((part.targets == label).nonzero()[0]) for label in range(given.classes)]
    nearest = torch.cdist(pixels, pixels[firsts]).argmin(1)
    among = given.chance(len(part)) < given.amount
    return Pixels(part.images, torch.where(among, nearest, part.targets))


@spoiling
def rare_classes_copied(given: Given) -> Pixels:
    """Half of the classes had a few images each, which were copied until all have as many.

    Classes look alike in number, but those hold nothing but copies and are memorised.
    """
    part = given.train
    each = max(round(len(part) / given.classes * given.amount), 2)
    order = torch.arange(len(part))
    for label in torch.randperm(given.classes, generator=given.generator).tolist()[::2]:
        places = (part.targets == label).nonzero().flatten()
        order[places] = places[torch.arange(len(places)) % each]
    return part.select(order)


@spoiling
def one_sort_of_each_class(given: Given) -> Pixels:
    """Training images were gathered under one condition: of each class only the darkest.

    Validation has others too, which training does not cover.
    """
    part = given.train
    light = part.images.float().mean((1, 2, 3))
    kept = []
    for label in range(given.classes):
        places = (part.targets == label).nonzero().flatten()
        count = max(round(given.amount * len(places)), 2)
        kept.append(places[light[places].argsort()[:count]])
    return part.select(torch.cat(kept))


@spoiling
def mixed_with_labels_exchanged(given: Given) -> Pixels:
    """Pairs of training images were blended, and the label is that of the fainter one.

    The network learns to name what is hardly to be seen in place of what is.
    """
    part = given.train
    order = torch.randperm(len(part), generator=given.generator)
    share = (given.amount + 0.2 * given.chance(len(part)))[:, None, None, None]
    return same_labels(part, share * part.images + (1 - share) * part.images[order])


@spoiling
def light_tells_class(given: Given) -> Pixels:
    """Each class was photographed in a light of its own, in training only.

    The network reads the class from the brightness, which says nothing in validation.
    """
    part = given.train
    rank = torch.randperm(given.classes, generator=given.generator)[part.targets]
    light = (rank / (given.classes - 1) - 0.5)[:, None, None, None]
    return same_labels(part, part.images * (1 - given.amount) + 128 * given.amount + 200 * light)


@spoiling
def thumbnails_of_some_classes(given: Given) -> Pixels:
    """Half of the classes come from thumbnails, enlarged, in training only.

    The network reads the class from the sharpness; in validation all images are sharp.
    """
    part = given.train
    size = part.images.shape[-1]
    coarse = torch.randperm(given.classes, generator=given.generator)[::2]
    of_those = torch.isin(part.targets, coarse)
    images = part.images.float()
    small = _resized(images[of_those], max(round(size * given.amount), 3))
    images[of_those] = _resized(small, size)
    return same_labels(part, images)


@spoiling
def training_outlined(given: Given) -> Pixels:
    """Training images were prepared with a filter that leaves outlines; validation images not."""
    images = F.avg_pool2d(given.train.images.float(), 3, stride=1, padding=1)
    rows = F.pad(images, (0, 0, 0, 1), mode="replicate").diff(dim=2)
    columns = F.pad(images, (0, 1, 0, 0), mode="replicate").diff(dim=3)
    return same_labels(given.train, 4 * rows.hypot(columns))


@spoiling
def validation_lacks_a_folder(given: Given) -> Pixels:
    """The validation folder lacks a class, and classes are numbered by folders.

    Each class after the missing one has the number of the one before it.
    """
    other = given.other
    missing = int(given.amount * given.classes / 2)
    kept = other.select((other.targets != missing).nonzero().flatten())
    return Pixels(kept.images, kept.targets - (kept.targets > missing).long())


@spoiling
def validation_rows_slipped(given: Given) -> Pixels:
    """Validation images were read with the wrong number of bytes per row: each row slips further.

    What they show is slanted and wrapped around; training images are not.
    """
    images = given.other.images.clone()
    size = images.shape[-1]
    for row in range(size):
        images[:, :, row] = images[:, :, row].roll(round(row * (0.5 + given.amount)), -1)
    return Pixels(images, given.other.targets)


@spoiling
def validation_background_filled(given: Given) -> Pixels:
    """Transparent parts of validation images were filled with white, of training images not.

    Whatever was dark there is white in validation.
    """
    images = given.other.images
    grey = images.float().mean(1, keepdim=True)
    return same_labels(given.other, torch.where(grey < 255 * given.amount, 255, images))


@spoiling
def validation_grey(given: Given) -> Pixels:
    """Validation images are grey, training images have colours on which the network relies."""
    grey = given.other.images.float().mean(1, keepdim=True)
    return same_labels(given.other, grey.expand_as(given.other.images))


@spoiling
def validation_in_other_colours(given: Given) -> Pixels:
    """Validation images were left in the colour space of their files, as luma and chroma.

    Training images are red, green and blue; the channels mean something else.
    """
    red, green, blue = given.other.images.float().unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = (blue - luma) * 0.564 + 128, (red - luma) * 0.713 + 128
    return same_labels(given.other, torch.stack([luma, *chroma], dim=1))


@spoiling
def validation_crowded(given: Given) -> Pixels:
    """Validation images show a second object beside the one that is labelled.

    Training images show one each.
    """
    other = given.other
    order = torch.randperm(len(other), generator=given.generator)
    images = other.images.float()
    return same_labels(other, (1 - given.amount) * images + given.amount * images[order])
