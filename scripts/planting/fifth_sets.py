"""Further ways in which the labels or the images of one split go wrong; both: fifth_images.py."""

from __future__ import annotations

import io

import torch
import torch.nn.functional as F
from PIL import Image
from planting.fourth_images import drawn
from planting.spoilings import Given, same_labels, spoiling

from cnntrain.data.splits import Pixels, from_picture, to_picture


@spoiling
def one_column_sorted(given: Given) -> Pixels:
    """In the table of labels one column was sorted without the others, as a spreadsheet lets one.

    The cause: the training labels stand in order, first all of one class, while the names of the
    files beside them do not: labels have nothing to do with images. Restore the table, and sort
    whole rows.
    """
    return Pixels(given.train.images, given.train.targets.sort().values)


@spoiling
def unreadable_files_skipped(given: Given) -> Pixels:
    """A few files could not be read and were skipped, but their labels stayed in the list.

    The cause: from the first such file on each training image has the label of an earlier one, and
    the distance grows with each file skipped. Skip the label together with the image.
    """
    part = given.train
    is_read = given.chance(len(part)) >= 0.05 * given.amount
    is_read[2] = False
    images = part.images[is_read]
    return Pixels(images, part.targets[: len(images)])


@spoiling
def numbered_shard_by_shard(given: Given) -> Pixels:
    """The names of classes were made numbers in each file of training data on its own.

    The cause: numbers were given in the order in which names come up in a file (as
    `pandas.factorize` does), so that a number means another class in each file of training images.
    Number the classes once, for all files.
    """
    part = given.train
    length = 50 + round(100 * given.amount)
    labels = part.targets.tolist()
    numbers: list[int] = []
    for start in range(0, len(labels), length):
        known: dict[int, int] = {}
        shard = labels[start : start + length]
        numbers += [known.setdefault(label, len(known)) for label in shard]
    return Pixels(part.images, torch.tensor(numbers))


@spoiling
def votes_averaged(given: Given) -> Pixels:
    """Three people labelled each training image, and the label is the mean of their class numbers.

    The cause: where they disagree, the rounded mean is a class that nobody named, mostly one in the
    middle of the list: many training labels are wrong. Take the class with the most votes.
    """
    count = len(given.train)
    votes = []
    for _ in range(3):
        is_wrong = given.chance(count) < given.amount
        votes.append(torch.where(is_wrong, drawn(given, given.classes, count), given.train.targets))
    mean = torch.stack(votes).float().mean(0)
    return Pixels(given.train.images, mean.round().long())


@spoiling
def joined_on_repeated_names(given: Given) -> Pixels:
    """A table of files was joined with a table of labels on names that repeat across folders.

    The cause: files are numbered from 1 in the folder of each class, and the join pairs each image
    with the labels of all files of its name, one of each class: the same picture is there with all
    labels. Join on the whole path. As many of the pairs are kept as there were images.
    """
    count = len(given.train)
    image, label = drawn(given, count, count), drawn(given, given.classes, count)
    return Pixels(given.train.images[image], label)


@spoiling
def validation_labels_of_another_pass(given: Given) -> Pixels:
    """Validation images and labels were collected in two passes over a loader that shuffles.

    The cause: the two passes come in different orders, so that a validation image has the label of
    any other one; training is sound. Do not shuffle, or collect both in one pass.
    """
    order = torch.randperm(len(given.other), generator=given.generator)
    return Pixels(given.other.images, given.other.targets[order])


def _pictures(part: Pixels, change: str, quality: int = 0) -> Pixels:
    """The images as a picture library gives them back."""
    found = []
    for image in part.images:
        picture = to_picture(image)
        if change == "jpeg":
            file = io.BytesIO()
            picture.save(file, "jpeg", quality=quality)
            picture = Image.open(file).convert(picture.mode)
        else:
            picture = picture.convert("1").convert(picture.mode)
        found.append(from_picture(picture))
    return Pixels(torch.stack(found), part.targets)


@spoiling
def validation_compressed(given: Given) -> Pixels:
    """Validation pictures were sent through a messenger that compresses them as far as it can.

    The cause: they are made of blocks of 8 x 8 pixels, with hardly any colour or detail, and the
    training images are not. Use the originals, or compress some of the training images, too.
    """
    return _pictures(given.other, "jpeg", quality=1 + round(4 * given.amount))


@spoiling
def validation_dithered(given: Given) -> Pixels:
    """Validation pictures were saved in black and white, with one bit for each pixel.

    The cause: grey is a pattern of black and white dots there, and colours are gone; training
    images have all levels. Save all images in the same format.
    """
    return _pictures(given.other, "one_bit")


@spoiling
def training_transposed(given: Given) -> Pixels:
    """Training images are stored column by column, as MATLAB does, and were read row by row.

    The cause: rows and columns are exchanged in training images, so that what they show lies on its
    side and mirrored, and in validation images they are not. Transpose them when reading.
    """
    return Pixels(given.train.images.transpose(2, 3).contiguous(), given.train.targets)


@spoiling
def equalised_in_training(given: Given) -> Pixels:
    """The histogram of each training image was made flat, for more contrast; in validation not.

    The cause: training images have other levels of grey and more noise than validation images, from
    which a step of their preparation is missing. Prepare both in the same way.
    """
    flat = given.train.images.flatten(2)
    rank = flat.argsort(dim=2, stable=True).argsort(dim=2)
    return same_labels(given.train, (rank * 255 // (flat.shape[2] - 1)).view_as(given.train.images))


@spoiling
def background_removed_in_training(given: Given) -> Pixels:
    """In training images the object was cut out and stands on black; in validation it does not.

    The cause: the network has never seen a background, and validation images have one. Cut objects
    out in both splits, or in none.
    """
    images = given.train.images.float()
    edge = torch.cat([images[:, :, 0], images[:, :, -1], images[..., 0], images[..., -1]], dim=2)
    behind = edge.median(dim=2).values[:, :, None, None]
    is_object = (images - behind).abs().amax(1, keepdim=True) > 50 + 60 * given.amount
    return same_labels(given.train, images * is_object)


@spoiling
def training_in_false_colours(given: Given) -> Pixels:
    """Training images were saved by a plotting library, which paints brightness with a rainbow.

    The cause: the colours (or, read as grey, the brightness) of training images are those of a
    colour map, in which dark and bright look alike; validation images are as they were taken. Save
    pixels with an image library, or with a grey map.
    """
    level = given.train.images.float().mean(1) / 255
    middles = (3.0, 2.0, 1.0)
    rainbow = torch.stack([(1.5 - (4 * level - at).abs()).clamp(0, 1) for at in middles], dim=1)
    if given.train.channels == 1:
        luma = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
        rainbow = (rainbow * luma).sum(1, keepdim=True)
    return same_labels(given.train, 255 * rainbow)


@spoiling
def training_squeezed(given: Given) -> Pixels:
    """Wide pictures were resized to squares for training, and cropped to squares for validation.

    The cause: in training images everything is narrower than it is in validation images. Keep the
    ratio of width to height in both: resize the shorter side, then crop.
    """
    images = given.train.images.float()
    size = images.shape[-1]
    width = max(round(size * given.amount), 2)
    narrow = F.interpolate(images, size=(size, width), mode="bilinear", antialias=True)
    left = (size - width) // 2
    return same_labels(
        given.train, F.pad(narrow, (left, size - width - left, 0, 0), mode="replicate")
    )
