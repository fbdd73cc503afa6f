"""Pictures of images that fool a network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.explain.fool import (
    SURE,
    Fooled,
    best,
    draw_fooled,
    fast_gradient_sign,
    grey_noise,
    probabilities_of,
    sure_noise,
)
from cnntrain.explain.images import Shown, show_images
from cnntrain.model.classes import class_number
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model
from cnntrain.model.splits import Split
from cnntrain.show.image_table import Picture

CHANGED, NOISES = 3, 2
"""Pictures of each kind where none is named."""


def fool(
    path: Path,
    *,
    images: Sequence[str] = (),
    target: str | None = None,
    split: Split | None = None,
    overrides: Sequence[str] = (),
) -> Picture:
    """Images that are hardly changed and taken for something else, and noise that it is sure of.

    Args:
        path: of the run.
        images: see `show_images`.
        target: what they are to be taken for; else anything else, and the noise for the first
            classes that it is not seen as.
        split: whose images.
        overrides: see `open_model`.

    Raises:
        UsageError: the images are seen as the target already.
    """
    model = open_model(path, overrides=overrides)
    aim = None if target is None else class_number(model, target)
    shown = show_images(model, images, split=split, usual=CHANGED if aim is None else 4 * CHANGED)
    if aim is not None:
        shown = _others(model, shown, aim, named=bool(images))
    found = [
        fast_gradient_sign(model.net, image, scaling=model.scaling, target=aim)
        for image in torch.split(shown.images, 1)
    ]
    noise = grey_noise(model.in_shape, seed=0).to(model.device)
    aims = _other_classes(model, noise) if aim is None else [aim]
    found += [sure_noise(model.net, noise, scaling=model.scaling, target=each) for each in aims]
    labels = [*shown.labels, *(f"noise, for {model.classes[each]}" for each in aims)]
    why = [*[""] * len(shown.labels), *[f": below {SURE:.1%}"] * len(aims)]
    return _pictured(found, labels=labels, why=why, classes=model.classes)


def _others(model: Model, shown: Shown, aim: int, *, named: bool) -> Shown:
    """Those that are not taken for a class already; of those that nobody named, a few."""
    rows = probabilities_of(model.net, shown.images).cpu()
    other = [number for number, row in enumerate(rows) if int(row.argmax()) != aim]
    if (named and len(other) < len(rows)) or not other:
        first = next(number for number in range(len(rows)) if number not in other)
        raise UsageError(
            f"{shown.labels[first]} is seen as {best(rows[first], model.classes)} already",
            remedy="choose another --class" + (" or --image" if named else ""),
        )
    kept = other if named else other[:CHANGED]
    return Shown(
        shown.images[kept],
        tuple(shown.labels[each] for each in kept),
        tuple(shown.targets[each] for each in kept),
    )


def _other_classes(model: Model, noise: Tensor) -> list[int]:
    seen = int(probabilities_of(model.net, model.scaling.redo(noise))[0].argmax())
    return [each for each in range(len(model.classes)) if each != seen][:NOISES]


def _pictured(
    found: Sequence[Fooled], *, labels: Sequence[str], why: Sequence[str], classes: Sequence[str]
) -> Picture:
    facts, before, after, lines = [], [], [], []
    for each, label, reason in zip(found, labels, why, strict=True):
        was, became = (best(row, classes) for row in (each.before, each.after))
        fact = {"image": label, "before": was, "after": became}
        facts.append({**fact, "epsilon": each.epsilon, "fooled": each.succeeded})
        failure = "" if each.succeeded else f"not fooled{reason}"
        before.append(f"{label}\n{was}")
        after.append(f"{became}\n{failure}".strip())
        end = f"{became}; {failure}" if failure else became
        lines.append(f"{label}: {was}, after at most {each.epsilon * 255:.0f}/255 a pixel {end}")
    figure = draw_fooled(found, before=before, after=after)
    return Picture(figure, {"sure": SURE, "images": facts}, "\n".join(lines))
