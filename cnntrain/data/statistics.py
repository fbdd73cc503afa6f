"""What scaling transforms need of the training images: mean and deviation, exact; whitening."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cnntrain.data import TRANSFORMS
from cnntrain.data.cache import cached, listing_key
from cnntrain.data.decode import UnreadableImageError, in_threads, is_deep
from cnntrain.data.depth import Depth, depth_of, merged
from cnntrain.data.learn_whitening import ZCA, learn_whitening
from cnntrain.data.splits import Files, Part, Pixels
from cnntrain.data.transform_errors import in_list
from cnntrain.show.pixels import Scaling
from cnntrain.show.whitening import alike

Items = Sequence[tuple[str, Mapping[str, Any]]]
PlainPipeline = tuple[dict[str, Any], ...]

_LEVELS = 256
_CHUNK = 8192
_LOOK = 16  # images at most that are looked at for a note


def statistics(part: Part) -> Scaling:
    """Mean and standard deviation over all pixels of all images, each pixel counted once.

    Computed from integer histograms of the stored images (before any transform), so the result
    does not depend on order or rounding; std is that of the population (divided by n). For files
    the result is kept in the cache, under their names, sizes and times of change.
    """
    if isinstance(part, Pixels):
        return _from_histogram(_histogram_of_pixels(part.images))
    histogram = cached(
        f"statistics/{listing_key(part.paths, part.channels, part.bits)}.npz",
        "histogram",
        shape=(part.channels, _LEVELS),
        dtype=np.int64,
        compute=partial(_histogram_of_files, part),
    )
    return _from_histogram(histogram)


def with_statistics(
    lists: Mapping[str, Items], train: Part
) -> tuple[Scaling | None, dict[str, PlainPipeline]]:
    """Transform lists as plain data; what scales is filled in, learnt from the training images.

    Args:
        lists: names and parameters of the transforms, by what they are for.
        train: the training images.

    Returns:
        What the first `normalize` or `zca` does, None where there is none; and the lists.

    Raises:
        ListError: `zca` is impossible for these images.
    """
    scaling: Scaling | None = None
    plain: dict[str, PlainPipeline] = {}
    for key, items in lists.items():
        steps = []
        for name, parameters in items:
            step = {"name": name, **parameters}
            if name == "normalize":
                mean, std = step.get("mean"), step.get("std")
                if mean is None and std is None:
                    scaling = scaling or statistics(train)
                    step.update(mean=scaling.mean, std=scaling.std)
                elif mean is not None and std is not None:
                    scaling = scaling or Scaling(tuple(mean), tuple(std))
            elif name == ZCA:
                learnt = step.get("learnt") or (scaling and scaling.whitening)
                step["learnt"] = learnt or _learnt(lists, step, train)
                scaling = scaling or scaling_in([step], channels=train.channels)
            steps.append({k: list(v) if isinstance(v, tuple) else v for k, v in step.items()})
        plain[key] = tuple(steps)
    return scaling, plain


def _learnt(lists: Mapping[str, Items], step: Mapping[str, Any], train: Part) -> str:
    """The whitening of training images, prepared as in evaluation up to the step."""
    key = "eval" if any(name == ZCA for name, _ in lists.get("eval", ())) else "train"
    steps = [{"name": name, **parameters} for name, parameters in lists[key]]
    place = [each["name"] for each in steps].index(ZCA)
    epsilon = TRANSFORMS.entry(ZCA).completed(steps[place])["epsilon"]
    with in_list(key):
        return learn_whitening(train, steps[:place], epsilon=epsilon)


def shallow(train: Part) -> tuple[str, ...]:
    """A note where images of 16 bits seem to hold fewer; a few of them are looked at."""
    if not isinstance(train, Files) or train.bits != "auto":
        return ()
    found: list[Depth] = []
    with suppress(UnreadableImageError):  # it is reported where it is used
        for index in range(0, len(train), -(-len(train) // _LOOK)):
            if not is_deep(train.paths[index]):
                return ()
            deep = depth_of([train.open(index)])
            found += [] if deep is None else [deep]
    deep = merged(found)
    few = deep is not None and deep.fitting is not None
    return (f"of some training images: {deep.words}",) if deep is not None and few else ()


def denormalize(images: Tensor, scaling: Scaling | None) -> Tensor:
    """`(N, C, H, W)` float as the network sees it, back to uint8; values outside are clipped."""
    pixels = images.float() if scaling is None else scaling.undo(images.float())
    return pixels.mul(255).round().clamp(0, 255).to(torch.uint8).cpu().contiguous()


def _histogram_of_pixels(images: Tensor) -> NDArray[Any]:
    total = np.zeros((images.shape[1], _LEVELS), dtype=np.int64)
    for start in range(0, len(images), _CHUNK):  # bounds the copy that one channel needs
        for channel, pixels in enumerate(images[start : start + _CHUNK].unbind(1)):
            total[channel] += torch.bincount(pixels.reshape(-1), minlength=_LEVELS).numpy()
    return total


def _histogram_of_files(part: Files) -> NDArray[Any]:
    total = np.zeros(part.channels * _LEVELS, dtype=np.int64)
    what = "measuring mean and standard deviation"
    every = range(len(part))
    for histogram in in_threads(lambda at: part.open(at).histogram(), every, what=what):
        total += histogram
    return total.reshape(part.channels, _LEVELS)


def _from_histogram(histogram: NDArray[Any]) -> Scaling:
    means, deviations = [], []
    for row in histogram.tolist():  # Python's integers: no overflow, no rounding
        n = sum(row)
        first = sum(level * count for level, count in enumerate(row))
        second = sum(level * level * count for level, count in enumerate(row))
        means.append(first / (255 * n))
        deviations.append(math.sqrt((second * n - first * first) / (255 * n) ** 2))
    return Scaling(tuple(means), tuple(deviations))


def same_steps(steps: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> bool:
    """Whether two lists as plain data are the same, whitening but for rounding."""

    def divided(steps: Sequence[Mapping[str, Any]]) -> tuple[list[Any], list[str]]:
        texts = [str(step["learnt"]) for step in steps if step["name"] == ZCA]
        return [step if step["name"] != ZCA else {**step, "learnt": ""} for step in steps], texts

    (own, texts), (theirs, other_texts) = divided(steps), divided(others)
    return own == theirs and all(map(alike, texts, other_texts))


def scaling_in(steps: Sequence[Mapping[str, Any]], *, channels: int) -> Scaling:
    """What transforms as plain data do to pixels: that of `normalize` or `zca`, else nothing."""
    whitening = ""
    for step in steps:
        if step["name"] == ZCA:
            whitening = step.get("learnt") or ""
        if step["name"] == "normalize" and step.get("mean") is not None:
            return Scaling(tuple(step["mean"]), tuple(step["std"]))
    return Scaling((0.0,) * channels, (1.0,) * channels, whitening)
