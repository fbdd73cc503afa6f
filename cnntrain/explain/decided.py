"""What a network makes of some images, for pictures of its decisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from cnntrain.core.kinds import Split
from cnntrain.explain.fool import best, probabilities_of
from cnntrain.explain.shown import show_images
from cnntrain.model.model import Model
from cnntrain.show.pixels import Pixels, photographs


@dataclass(frozen=True)
class Decided:
    """Images (N, C, H, W), what they are and are taken for, and the class a picture is about.

    `pixels` are the images as photographs, (N, H, W, 3).
    """

    images: Tensor
    pixels: Pixels
    targets: list[int]
    captions: list[str]
    aims: list[str]
    facts: list[dict[str, object]]


def decide(
    model: Model, images: Sequence[str], target: str | None, *, split: Split | None
) -> Decided:
    """What a network makes of images.

    Args:
        model: the model.
        images: see `show_images`.
        target: the class that a picture is about; None: of each image what it is seen as.
        split: whose images.
    """
    wanted = None if target is None else model.class_number(target)
    shown = show_images(model, images, split=split)
    classes = model.classes
    probabilities = probabilities_of(model.net, shown.images).cpu()
    pixels = photographs(shown.images, scaling=model.scaling)
    targets, captions, aims, facts = [], [], [], []
    for label, true, row in zip(shown.labels, shown.targets, probabilities, strict=True):
        top = int(row.argmax())
        aim = top if wanted is None else wanted
        aims.append(f"for {classes[aim]} ({float(row[aim]):.1%})")
        lines = [label, f"seen as {best(row, classes)}"]
        lines += [f"is {classes[true]}"] if true is not None else []
        fact: dict[str, object] = {"image": label, "class": None if true is None else classes[true]}
        fact.update(predicted=classes[top], shown=classes[aim], probability=float(row[aim]))
        captions.append("\n".join(lines))
        facts.append(fact)
        targets.append(aim)
    return Decided(shown.images, pixels, targets, captions, aims, facts)
