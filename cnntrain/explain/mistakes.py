"""The errors of which the network was most sure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from matplotlib.figure import Figure
from torch import nn

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Count, Split
from cnntrain.data.batch import Loader
from cnntrain.explain import picture
from cnntrain.explain.shown import short
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.show.image_table import Cell, Picture, columns_for, draw_table, in_rows
from cnntrain.show.pixels import Pixels, photographs


@dataclass(frozen=True)
class Mistake:
    """One image that was taken for another class.

    Args:
        image: its position in the loader's order.
        true: its class, a position in the list of classes.
        predicted: what it was taken for.
        probability: of that.
        true_probability: of its own class.
    """

    image: int
    true: int
    predicted: int
    probability: float
    true_probability: float


@dataclass(frozen=True)
class Mistakes:
    """The mistakes, the most confident first, among so many images."""

    found: tuple[Mistake, ...]
    images: int


def find_mistakes(net: nn.Module, loader: Loader) -> Mistakes:
    """Classify every image; keep what is wrong.

    Args:
        net: gives scores (N, classes), in evaluation mode.
        loader: in stored order.
    """
    found: list[Mistake] = []
    seen = 0
    with torch.inference_mode():
        for images, targets in loader.batches(0):
            probabilities = net(images).float().softmax(dim=1).cpu()
            top, predicted = probabilities.max(dim=1)
            targets = targets.cpu()
            for index in (predicted != targets).nonzero().flatten().tolist():
                true = int(targets[index])
                own = float(probabilities[index, true])
                guess = int(predicted[index])
                found.append(Mistake(seen + index, true, guess, float(top[index]), own))
            seen += len(targets)
    found.sort(key=lambda mistake: -mistake.probability)
    return Mistakes(tuple(found), seen)


def draw_mistakes(
    images: Pixels,
    shown: Sequence[Mistake],
    *,
    labels: Sequence[str],
    classes: Sequence[str],
    title: str,
) -> Figure:
    """A grid of the images, each with what it is, what it was taken for, and its file.

    Args:
        images: (N, H, W, 3).
        shown: what was taken for what.
        labels: the files.
        classes: the names.
        title: above.
    """
    cells = []
    for image, mistake, label in zip(images, shown, labels, strict=True):
        lines = (
            f"as {classes[mistake.predicted]} ({mistake.probability:.1%})",
            f"is {classes[mistake.true]} ({mistake.true_probability:.1%})",
            label,
        )
        cells.append(Cell(image, "\n".join(lines)))
    return draw_table(in_rows(cells, columns_for(len(cells), most=8)), title=title, side=1.4)


@picture("mistakes")
def mistakes(
    *,
    model: Model,
    count: Count = 24,
    split: Split | None = None,
) -> Picture:
    """The errors of which the network was most sure.

    Args:
        count: images to show.

    Raises:
        UsageError: there is no mistake to show.
    """
    data = find_images(model, split=split)
    with data.opened() as loader:
        wrong = find_mistakes(model.net, loader)
    chosen = wrong.found[:count]
    if not chosen:
        raise UsageError(f"all {data.told} are right", remedy="try another --split")
    images = data.at([mistake.image for mistake in chosen])
    labels = [data.label(mistake.image) for mistake in chosen]
    verb = "is" if len(wrong.found) == 1 else "are"
    total = f"{len(wrong.found):,} of {wrong.images:,} {data.kind} {verb} wrong"
    some = f"; the {len(chosen)} of which the network is most sure"
    title = total + some * (len(chosen) < len(wrong.found))
    figure = draw_mistakes(
        photographs(images, scaling=model.scaling),
        chosen,
        labels=[short(label) for label in labels],
        classes=model.classes,
        title=title,
    )
    facts = [
        {
            "image": label,
            "class": model.classes[each.true],
            "predicted": model.classes[each.predicted],
            "probability": each.probability,
            "class_probability": each.true_probability,
        }
        for label, each in zip(labels, chosen, strict=True)
    ]
    counts = {"split": data.split, "images": wrong.images, "wrong": len(wrong.found)}
    return Picture(figure, {**counts, "mistakes": facts}, total)
