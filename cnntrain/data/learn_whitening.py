"""The matrix that whitens the training images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from cnntrain.data.image_targets import uncorrupted
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.resident import read_pixels
from cnntrain.data.splits import Part
from cnntrain.data.transform_errors import in_place
from cnntrain.show.whitening import Whitening

ZCA = "zca"
"""The transform's name."""

MOST_VALUES = 400
"""Of an image: the matrix, which every checkpoint holds, then has 160,000 numbers."""

_CHUNK = 4096


def refuse_many_values(channels: int, size: tuple[int, int]) -> None:
    """Refuse images whose matrix would be large.

    Raises:
        ValueError: they have more than `MOST_VALUES` values.
    """
    values = channels * size[0] * size[1]
    if values > MOST_VALUES:
        raise ValueError(
            f"images of {channels} x {size[0]} x {size[1]} have {values:,} values, and a matrix "
            f"over all of them is for {MOST_VALUES} at most; make them smaller, with a resize in "
            "front, or take `normalize`"
        )


def learn_whitening(part: Part, before: Sequence[Mapping[str, Any]], *, epsilon: float) -> str:
    """ZCA of the training images; see `cnntrain.data.transforms.zca`.

    Sums of 8-bit pixels are exact, so that their order does not matter.

    Args:
        part: the training images.
        before: the transforms of evaluation in front of it, as plain data; those that corrupt are
            left out.
        epsilon: added to each eigenvalue of the covariance.

    Returns:
        The text of the whitening.

    Raises:
        TransformError: the images have too many values, or a transform is impossible.
        DataError: they cannot be read, or are of different sizes.
    """
    head, tail = build_pipeline(uncorrupted(before)).divide(random_in_worker=False)
    with in_place(len(before), ZCA):
        refuse_many_values(part.channels, head.output_size(part.size_of(0)))
    images, generator = read_pixels(part, head, name="train").images, torch.Generator()
    total, products, full = torch.zeros(()), torch.zeros(()), 1.0
    for some in torch.split(images, _CHUNK):
        seen = tail.applied(some, generator)
        full = 1.0 if seen.is_floating_point() else 255.0
        rows = seen.flatten(1).double()
        total, products = total + rows.sum(dim=0), products + rows.T @ rows
    mean = total / (full * len(images))
    covariance = products / (full**2 * len(images)) - torch.outer(mean, mean)
    variances, directions = torch.linalg.eigh(covariance)
    scale = (variances.clamp_min(0) + epsilon).rsqrt()
    return Whitening(mean, (directions * scale) @ directions.T).as_text()
