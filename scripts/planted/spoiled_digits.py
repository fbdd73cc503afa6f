"""scikit-learn's digits with one thing wrong, as it goes wrong when data are prepared."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from cnntrain.core.kinds import Positive
from cnntrain.data import dataset
from cnntrain.data.sets.digits import digits
from cnntrain.data.splits import Pixels, Splits

VALIDATION = 360


@dataset("spoiled_digits", classes=10, channels="$channels", size=8, validation=True)
def spoiled_digits(
    *,
    fault: Literal[
        "none",
        "wrong_labels",
        "random_labels",
        "late_labels",
        "other_class_order",
        "validation_in_train",
        "saved_again_in_train",
        "inverted_validation",
        "missing_class",
        "empty_channel",
        "rare_classes",
    ] = "none",
    channels: Positive = 1,
) -> Splits:
    """The digits, with 360 of them for validation, and one fault.

    Args:
        fault: what is wrong.
        channels: copies of the grey channel.
    """
    whole = digits()
    generator = torch.Generator().manual_seed(0)
    order = torch.randperm(len(whole.train), generator=generator)
    images = whole.train.images[order].expand(-1, channels, -1, -1).contiguous()
    targets = whole.train.targets[order]
    if fault == "late_labels":  # one label too many at the start of the list
        images, targets = images[1:], targets[:-1]
    train = Pixels(images[VALIDATION:], targets[VALIDATION:])
    validation = Pixels(images[:VALIDATION], targets[:VALIDATION])
    match fault:
        case "wrong_labels":
            train = replace(train, targets=_wrong(train.targets, 0.3, generator))
        case "random_labels":
            order = torch.randperm(len(train), generator=generator)
            train = replace(train, targets=train.targets[order])
        case "other_class_order":
            validation = replace(validation, targets=9 - validation.targets)
        case "validation_in_train":
            train = Pixels(
                torch.cat([train.images, validation.images[:100]]),
                torch.cat([train.targets, validation.targets[:100]]),
            )
        case "saved_again_in_train":  # with losses, as JPEG has them
            again = validation.images[:100].int()
            again += torch.randint(-4, 5, again.shape, generator=generator, dtype=torch.int32)
            train = Pixels(
                torch.cat([train.images, again.clamp(0, 255).byte()]),
                torch.cat([train.targets, validation.targets[:100]]),
            )
        case "inverted_validation":
            validation = replace(validation, images=255 - validation.images)
        case "missing_class":
            train = train.select((train.targets != 7).nonzero().flatten())
        case "empty_channel":
            train.images[:, -1] = validation.images[:, -1] = 0
        case "rare_classes":  # of the classes 5 to 9 one image in 30
            kept = (train.targets < 5) | (torch.arange(len(train)) % 30 == 0)
            train = train.select(kept.nonzero().flatten())
    return Splits(whole.classes, train, validation=validation)


def _wrong(targets: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """So many of the labels changed into one of the other nine."""
    chosen = torch.randperm(len(targets), generator=generator)[: round(share * len(targets))]
    changed = targets.clone()
    away = torch.randint(1, 10, (len(chosen),), generator=generator)
    changed[chosen] = (targets[chosen] + away) % 10
    return changed
