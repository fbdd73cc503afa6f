"""Ways in which all images go wrong on their way from the disk to the training."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from planting.spoilings import Given, same_labels, spoiling
from torch import Tensor

from cnntrain.data.splits import Pixels

IN_BOTH = (
    *("one_buffer_reused", "two_things_one_label", "orientation_ignored", "palette_numbers_read"),
    *("sheet_cut_at_wrong_places", "too_few_photons", "objects_too_small", "middle_anonymised"),
    *("repeated_in_place_of_resized", "levels_cut_off"),
)
"""What of the fourth lot changes training and validation images alike."""


def _resized(images: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(images.float(), size=(height, width), mode="bilinear", antialias=True)


def drawn(given: Given, most: int, count: int) -> Tensor:
    """So many integers from 0, less than `most`."""
    return torch.randint(0, most, (count,), generator=given.generator)


@spoiling
def one_buffer_reused(given: Given) -> tuple[Pixels, Pixels]:
    """A loader read several images at a time into one buffer, and appended that buffer each time.

    The cause: images that stand together are all the last one of them, each with a label of its
    own, in both splits. The same picture has many labels; copy the buffer before appending it.
    """
    together = 4 + round(20 * given.amount)

    def read(part: Pixels) -> Pixels:
        places = torch.arange(len(part))
        last = (places // together * together + together - 1).clamp(max=len(part) - 1)
        return Pixels(part.images[last], part.targets)

    return read(given.train), read(given.other)


@spoiling
def two_things_one_label(given: Given) -> tuple[Pixels, Pixels]:
    """Each image shows two things of any classes side by side, and the label names one of them.

    The cause: an image does not tell which of the two is meant, in either split, so that no network
    can know. Cut the images into one thing each, or learn several labels per image.
    """

    def paired(part: Pixels) -> Pixels:
        order = torch.randperm(len(part), generator=given.generator)
        size = part.images.shape[-1]
        own = _resized(part.images, size, size // 2)
        other = _resized(part.images[order], size, size - size // 2)
        is_left = (given.chance(len(part)) < 0.5)[:, None, None, None]
        both = torch.where(is_left, torch.cat([own, other], 3), torch.cat([other, own], 3))
        return same_labels(part, both)

    return paired(given.train), paired(given.other)


@spoiling
def orientation_ignored(given: Given) -> tuple[Pixels, Pixels]:
    """The flag by which cameras say how a picture is to be turned was ignored.

    The cause: images stand upright, upside down or on either side by chance, in both splits, and
    what they show depends on which way is up. Turn them as their EXIF data say.
    """

    def turned(part: Pixels) -> Pixels:
        turns = drawn(given, 4, len(part))
        all_ways = torch.stack([part.images.rot90(number, (2, 3)) for number in range(4)])
        return Pixels(all_ways[turns, torch.arange(len(part))], part.targets)

    return turned(given.train), turned(given.other)


@spoiling
def palette_numbers_read(given: Given) -> tuple[Pixels, Pixels]:
    """Of files with palettes the palette's numbers were read as if they were brightness.

    The cause: each file has its colours in an order of its own, so that a number means another
    brightness in each image, in both splits. Convert such files to RGB or grey when reading.
    """
    levels = 27

    def read(part: Pixels) -> Pixels:
        images = part.images.long()
        if images.shape[1] == 3:
            red, green, blue = (images * 3 // 256).unbind(1)
            colours = (red * 9 + green * 3 + blue).unsqueeze(1)
        else:
            colours = images * levels // 256
        keys = torch.rand(len(part), levels, generator=given.generator)
        numbers = keys.argsort(1).gather(1, colours.flatten(1)).view(colours.shape)
        return same_labels(part, (numbers * 255 // (levels - 1)).expand_as(images))

    return read(given.train), read(given.other)


@spoiling
def levels_cut_off(given: Given) -> tuple[Pixels, Pixels]:
    """Images of many levels were cut off at those of something brighter (a window of tomography).

    The cause: all but the brightest few pixels are black, in both splits, and what the images show
    lies below. Choose the levels between which grey is spread by what is to be seen.
    """
    sample = given.train.images[:200].flatten().float()
    least = float(sample.quantile(1 - 0.04 * (1 - given.amount)))

    def cut(part: Pixels) -> Pixels:
        return same_labels(part, (part.images - least) * 255 / max(255 - least, 1))

    return cut(given.train), cut(given.other)


@spoiling
def sheet_cut_at_wrong_places(given: Given) -> tuple[Pixels, Pixels]:
    """Images were cut from a sheet on which they stand in a row, but beginning at a wrong place.

    The cause: each image shows the right part of the one that its label belongs to and the left
    part of the next one, in both splits. Cut the sheet at the images' edges.
    """

    def cut(part: Pixels) -> Pixels:
        far = round(part.images.shape[-1] * given.amount)
        following = part.images.roll(-1, 0)
        return Pixels(torch.cat([part.images[..., far:], following[..., :far]], 3), part.targets)

    return cut(given.train), cut(given.other)


@spoiling
def too_few_photons(given: Given) -> tuple[Pixels, Pixels]:
    """Images were taken with so little light that a pixel counts no photon, or one.

    The cause: the images themselves are noise for the most part, in both splits; what they show
    can hardly be known by anyone. Expose for longer, or average several exposures.
    """

    def taken(part: Pixels) -> Pixels:
        expected = given.amount * part.images.float() / 255
        return same_labels(part, 255 * torch.poisson(expected, generator=given.generator))

    return taken(given.train), taken(given.other)


@spoiling
def objects_too_small(given: Given) -> tuple[Pixels, Pixels]:
    """Large pictures, in which the object is somewhere and small, were resized to the network's.

    The cause: of the object there are left a few pixels at any place, in both splits; its detail
    is gone. Cut the objects out first, or use larger images.
    """

    def shrunk(part: Pixels) -> Pixels:
        size = part.images.shape[-1]
        side = max(round(size * given.amount), 2)
        small = _resized(part.images, side, side).to(torch.uint8)
        found = torch.zeros_like(part.images)
        free = size - side + 1
        tops, lefts = drawn(given, free, len(part)), drawn(given, free, len(part))
        for place, (top, left) in enumerate(zip(tops.tolist(), lefts.tolist(), strict=True)):
            found[place, :, top : top + side, left : left + side] = small[place]
        return Pixels(found, part.targets)

    return shrunk(given.train), shrunk(given.other)


@spoiling
def middle_anonymised(given: Given) -> tuple[Pixels, Pixels]:
    """To protect people a grey area was laid over the middle of every image that was handed on.

    The cause: what the classes differ by is covered, in both splits. Ask for images that show it.
    """

    def covered(part: Pixels) -> Pixels:
        size = part.images.shape[-1]
        side = round(size * (0.4 + given.amount))
        at = (size - side) // 2
        found = part.images.clone()
        found[..., at : at + side, at : at + side] = 128
        return Pixels(found, part.targets)

    return covered(given.train), covered(given.other)


@spoiling
def repeated_in_place_of_resized(given: Given) -> tuple[Pixels, Pixels]:
    """`numpy.resize`, which cuts off or repeats the list of values, in place of an image resize.

    The cause: of a larger picture there are left its first rows alone, each wrapped over several
    rows, in both splits; the rest of it was thrown away. Resize with an image library.
    """

    def cut(part: Pixels) -> Pixels:
        size = part.images.shape[-1]
        large = _resized(part.images, 2 * size, 2 * size)
        return same_labels(part, large.flatten(2)[..., : size * size].view(part.images.shape))

    return cut(given.train), cut(given.other)
