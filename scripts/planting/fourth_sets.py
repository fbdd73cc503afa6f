"""Ways in which the labels or the images of one split go wrong; both: see fourth_images.py."""

from __future__ import annotations

import torch
from planting.fourth_images import drawn
from planting.spoilings import Given, same_labels, spoiling

from cnntrain.data.splits import Pixels


@spoiling
def labels_of_another_column(given: Given) -> Pixels:
    """Training labels were read from another column of the table: how bright the image is.

    The cause: the training labels are not the classes, although an image does tell them. What is
    learnt has nothing to do with the validation labels; read the column with the classes.
    """
    part = given.train
    rank = part.images.float().mean((1, 2, 3)).argsort().argsort()
    return Pixels(part.images, rank * given.classes // len(part))


@spoiling
def images_repeated_labels_tiled(given: Given) -> Pixels:
    """For augmentation in advance each image was repeated in turn, but the list of labels tiled.

    The cause: images are in the order a, a, b, b, ... and labels in the order a, b, ..., a, b, ...;
    nearly no training label belongs to its image. Repeat both in the same way.
    """
    part = given.train
    times = 2 + round(4 * given.amount)
    few = part.select(torch.arange(len(part) // times))
    noise = torch.randint(-6, 7, (len(few) * times, *few.images.shape[1:]),
                          generator=given.generator)  # fmt: skip
    images = (few.images.repeat_interleave(times, 0) + noise).clamp(0, 255)
    return Pixels(images.to(torch.uint8), few.targets.repeat(times))


@spoiling
def labels_of_the_group(given: Given) -> Pixels:
    """Labels were given to groups of images (patients, films) and handed on to every image.

    The cause: a group holds images of several classes, and all have the label of one of them: most
    training labels are wrong. Label single images, or train on groups.
    """
    part = given.train
    together = 3 + round(10 * given.amount)
    first = torch.arange(len(part)) // together * together
    return Pixels(part.images, part.targets[first])


@spoiling
def averaged_within_classes(given: Given) -> Pixels:
    """Training images were interpolated, each the mean of several images of one class.

    The cause: single images are not to be seen in training, only blends (as SMOTE makes them of
    pixels), and validation consists of single ones. Train on the images themselves.
    """
    part = given.train
    total = torch.zeros(part.images.shape)
    for _ in range(blended := 4 + round(10 * given.amount)):
        order = torch.randperm(len(part), generator=given.generator)
        by_class = torch.empty_like(order)
        by_class[part.targets.argsort(stable=True)] = order[
            part.targets[order].argsort(stable=True)
        ]
        total += part.images[by_class]
    return same_labels(part, total / blended)


@spoiling
def rows_shuffled(given: Given) -> Pixels:
    """A shuffle along the wrong axis: not the training images but the rows of each were shuffled.

    The cause: training images show rows of pixels in any order, validation images show the object.
    Shuffle the order of the images, together with their labels.
    """
    part = given.train
    count, channels, height, width = part.images.shape
    order = torch.rand(count, height, generator=given.generator).argsort(1)
    order = order[:, None, :, None].expand(count, channels, height, width)
    return Pixels(part.images.gather(2, order), part.targets)


@spoiling
def folders_centred_apart(given: Given) -> Pixels:
    """Training images were centred folder by folder: each had the mean image of its class removed.

    The cause: what all images of a class have in common is taken from training images, by means of
    their labels, and validation images have it. Take one mean over all training images.
    """
    part = given.train
    images = part.images.float()
    middle = images.mean(0)
    for label in range(given.classes):
        of_class = part.targets == label
        images[of_class] += middle - images[of_class].mean(0)
    return same_labels(part, images)


@spoiling
def validation_labelled_carelessly(given: Given) -> Pixels:
    """Validation images were labelled in a hurry: many of their labels are wrong, at random.

    The cause: the validation labels are wrong, training is sound, and the measured error is not the
    network's. Label the validation images again.
    """
    targets = given.other.targets
    among = given.chance(len(targets)) < given.amount
    away = 1 + drawn(given, given.classes - 1, len(targets))
    wrong = torch.where(among, (targets + away) % given.classes, targets)
    return Pixels(given.other.images, wrong)


@spoiling
def validation_partly_blank(given: Given) -> Pixels:
    """Many validation files could not be read, and a black image stands for each.

    The cause: many validation images are blank, training images are not: no network can tell their
    class. Copy the files again, and let unreadable ones be an error.
    """
    is_lost = given.chance(len(given.other)) < given.amount
    return same_labels(given.other, given.other.images * ~is_lost[:, None, None, None])


@spoiling
def validation_labels_of_a_template(given: Given) -> Pixels:
    """The labels of the validation images come from a template to be filled in: all are the first.

    The cause: the validation labels are placeholders, all of them one class. Get the real labels,
    or hold out some of the training images.
    """
    return Pixels(given.other.images, torch.zeros_like(given.other.targets))


@spoiling
def validation_white_balance(given: Given) -> Pixels:
    """Validation pictures come from a camera whose white balance was set for another light.

    The cause: they have a strong cast, with more red and hardly any blue; training images have not,
    and so rely on colours. Correct the balance, or vary colours in training.
    """
    gain = torch.tensor([1 + given.amount, 1.0, 1 - given.amount])[None, :, None, None]
    return same_labels(given.other, given.other.images * gain[:, : given.other.channels])
