"""What images are learnt with: the form of their targets, what its parts are called, statistics.

Four forms: `classes` `(N,)` int64, positions in the list of names (of mixed images `(N, names)`
float32, shares of classes); `numbers` `(N, names)` float32; `labels` `(N, names)` float32, 1 where
an image has the label and 0 where not; `image`, the image itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnntrain.core.target_forms import TargetForm
from cnntrain.show.pixels import Scaling

NAMED: Mapping[TargetForm, tuple[str, str]] = {
    "classes": ("class", "classes"),
    "numbers": ("number", "numbers"),
    "labels": ("label", "labels"),
    "image": ("image", "images"),
}
"""What a name is the name of: one and several."""

IN_TITLES: Mapping[TargetForm, str] = {form: words[1].capitalize() for form, words in NAMED.items()}


@dataclass(frozen=True)
class Targets:
    """The targets of a data set.

    Args:
        form: see above.
        names: of the classes, of the numbers, or of the labels.
        mean, std: of numbers, over the training images, one for each name; of images those of
            `normalize`, one for each channel (0 and 1 without it); else empty.
        thresholds: of labels, of a trained network, above which they are said; else empty.
    """

    form: TargetForm = "classes"
    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()

    def say(self, target: Tensor) -> str:
        """The target of one image in words: 0-d of a class, 3-d of an image, else 1-d."""
        if target.ndim == 3:
            return self.names[0]
        if target.ndim == 0:
            return self.names[int(target)]
        if self.form == "numbers":
            texts = [str(value) for value in target.cpu().numpy().astype(np.float32)]
            pairs = zip(self.names, texts, strict=True)
            return texts[0] if len(texts) == 1 else ", ".join(f"{n} {t}" for n, t in pairs)
        shares, order = target.cpu().sort(descending=True, stable=True)
        there = [self.names[number] for number in order[shares > 0].tolist()]
        return (", " if self.form == "labels" else " + ").join(there)

    def say_all(self, targets: Tensor) -> list[str]:
        """Those of several images."""
        if targets.ndim == 1:
            return [self.names[number] for number in targets.tolist()]
        return [self.say(target) for target in targets]

    def counts(self, targets: Tensor) -> tuple[int, ...]:
        """For each name, how many images are of it or have it."""
        if self.form == "classes":
            return tuple(torch.bincount(targets, minlength=len(self.names)).tolist())
        if self.form == "labels":
            return tuple((targets > 0).sum(dim=0).tolist())
        return (len(targets),) * len(self.names)

    def as_plain(self) -> dict[str, Any]:
        """What a checkpoint keeps of them besides the names."""
        plain = asdict(self)
        return {"form": self.form, **{key: list(plain[key]) for key in ("mean", "std")}}


def measured(form: TargetForm, names: Sequence[str], training: Tensor) -> Targets:
    """The targets whose training images have these; numbers that are all the same deviate by 1."""
    if form != "numbers":
        return Targets(form, tuple(names))
    values = training.double()
    std = values.std(dim=0, correction=0)
    deviations = torch.where(std > 0, std, 1.0)
    return Targets(
        form, tuple(names), tuple(values.mean(dim=0).tolist()), tuple(deviations.tolist())
    )


def with_scaling(targets: Targets, scaling: Scaling | None, *, channels: int = 1) -> Targets:
    """Targets that are images, as `normalize` leaves them; others as they are."""
    if targets.form != "image":
        return targets
    scaling = scaling or Scaling((0.0,) * channels, (1.0,) * channels)
    return replace(targets, mean=tuple(scaling.mean), std=tuple(scaling.std))
