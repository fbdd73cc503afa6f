"""What a layer of a model gives for every image of a split."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor

from cnntrain.model.every_split import Split
from cnntrain.model.find_layers import feature_tap
from cnntrain.model.images import find_images
from cnntrain.model.taps import features

if TYPE_CHECKING:
    from cnntrain.model.model import Model


@dataclass(frozen=True)
class Features:
    """The features of a split.

    Args:
        layer: where they were read.
        split: of the data.
        values: (N, F) float32.
        targets: (N,) int64 classes.
        files: what each image is called.
        classes: the names.
    """

    layer: str
    split: Split
    values: Tensor
    targets: Tensor
    files: tuple[str, ...]
    classes: tuple[str, ...]


def extract(
    model: Model,
    *,
    layer: str | None = None,
    split: Split | None = None,
    pool: int | None = None,
) -> Features:
    """What a layer gives for every image of a split.

    Args:
        model: the model.
        layer: its dotted name; else what the last linear layer reads.
        split: the test set if there is one, else validation, else training.
        pool: average maps over regions so that there are at most so many features.

    Raises:
        UsageError: there is no such layer or split, or a feature is not a finite number.
        CheckpointError: the data are of other classes.
        DataError: an image cannot be read.
    """
    tap = feature_tap(model, layer)
    data = find_images(model, split=split)
    with model.running(), data.opened() as loader:
        found, targets = features(model.net, loader, taps=[tap], limit=pool or 2**62)
    files = tuple(data.label(number) for number in range(len(targets)))
    return Features(str(tap), data.split, found[tap], targets, files, model.classes)
