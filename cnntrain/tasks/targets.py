"""What images are learnt with: the form of their targets, what its parts are called, statistics.

Five forms: `classes` `(N,)` int64, positions in the list of names (of mixed images `(N, names)`
float32, shares of classes); `numbers` `(N, names)` float32; `labels` `(N, names)` float32, 1 where
an image has the label and 0 where not; `image`, the image itself; `distances`, the same as
`classes`, where images of one class are to be near each other. `several` of them for each image
are columns `(N, K)` float32, one part behind the other: a class has one, an image, which is the
last part, as many as it has pixels; data sets have those of all but the image.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cnntrain.core.target_forms import TargetForm
from cnntrain.show.pixels import Scaling
from cnntrain.show.words import counted

NAMED: Mapping[TargetForm, tuple[str, str]] = {
    "classes": ("class", "classes"),
    "numbers": ("number", "numbers"),
    "labels": ("label", "labels"),
    "image": ("image", "images"),
    "several": ("output", "outputs"),
    "distances": ("class", "classes"),
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
        whitening: of images, the text of `cnntrain.show.whitening` where `zca` did it; else empty.
        parts: of `several`, what they are, in the order of the columns; else empty.
    """

    form: TargetForm = "classes"
    names: tuple[str, ...] = ()
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = ()
    whitening: str = ""
    parts: tuple[Targets, ...] = ()

    @property
    def columns(self) -> int:
        """Of a part, in the targets that a data set has."""
        return {"classes": 1, "image": 0}.get(self.form, len(self.names))

    @property
    def described(self) -> str:
        """How many of what: `10 classes`, `10 classes and 1 image`."""
        if self.form == "distances":
            return "a vector"
        each = (counted(len(part.names), *NAMED[part.form]) for part in self.parts or (self,))
        return " and ".join(each)

    def divided(self, targets: Tensor) -> Iterator[tuple[Targets, Tensor]]:
        """Of several: each part with its columns `(N, ...)`, in its own form."""
        start = 0
        for part in self.parts:
            end = None if part.form == "image" else start + part.columns
            columns = targets[:, start:end]
            start += part.columns
            yield part, columns[:, 0].long() if part.form == "classes" else columns

    def say(self, target: Tensor) -> str:
        """The target of one image in words: 0-d of a class, 3-d of an image, else 1-d."""
        if self.parts:
            each = self.divided(target[None])
            return ", ".join(part.say(one[0]) for part, one in each if part.form != "image")
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
        if self.parts and self.parts[0].form != "image":
            pairs = ((part, each) for part, each in self.divided(targets) if part.form != "image")
            return tuple(count for part, each in pairs for count in part.counts(each))
        if self.form in ("classes", "distances"):
            return tuple(torch.bincount(targets, minlength=len(self.names)).tolist())
        if self.form == "labels":
            return tuple((targets > 0).sum(dim=0).tolist())
        return (len(targets),) * len(self.names)

    def as_plain(self) -> dict[str, Any]:
        """What a checkpoint keeps of them besides the names."""
        plain = {"form": self.form, "mean": list(self.mean), "std": list(self.std)}
        if not self.parts:
            return plain
        return {**plain, "parts": [{**p.as_plain(), "names": list(p.names)} for p in self.parts]}


def several(parts: Sequence[Targets]) -> Targets:
    """Targets that have all of these; an image among them is the last."""
    named = [part for part in parts if part.form != "image"] or parts
    names = tuple(name for part in named for name in part.names)
    return Targets("several", names, parts=tuple(parts))


def measured(
    form: TargetForm,
    names: Sequence[str],
    training: Tensor,
    forms: Sequence[tuple[TargetForm, tuple[str, ...]]] = (),
) -> Targets:
    """The targets whose training images have these; numbers that are all the same deviate by 1.

    `forms` are those of the parts of `several`, each with its names.
    """
    if form == "several":
        whole = several([Targets(*part) for part in forms])
        pairs = whole.divided(training)
        return several([measured(part.form, part.names, each) for part, each in pairs])
    if form != "numbers":
        return Targets(form, tuple(names))
    values = training.double()
    std = values.std(dim=0, correction=0)
    deviations = torch.where(std > 0, std, 1.0)
    return Targets(
        form, tuple(names), tuple(values.mean(dim=0).tolist()), tuple(deviations.tolist())
    )


def with_scaling(targets: Targets, scaling: Scaling | None, *, channels: int = 1) -> Targets:
    """Targets that are images, as `normalize` or `zca` leaves them; others as they are."""
    if targets.parts:
        return several([with_scaling(each, scaling, channels=channels) for each in targets.parts])
    if targets.form != "image":
        return targets
    scaling = scaling or Scaling((0.0,) * channels, (1.0,) * channels)
    mean, std = tuple(scaling.mean), tuple(scaling.std)
    return replace(targets, mean=mean, std=std, whitening=scaling.whitening)
