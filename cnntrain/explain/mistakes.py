"""The errors of which the network was most sure."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Count, Split
from cnntrain.data.batch import Loader
from cnntrain.explain import picture
from cnntrain.explain.shown import short
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.show.image_table import Cell, Picture, columns_for, draw_table, in_rows
from cnntrain.show.pixels import photographs


@dataclass(frozen=True)
class Mistake:
    """One image, by its position in the loader's order, that was taken for another class.

    `probability` is that of the predicted class; classes are positions in the list of them.
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


def find_mistakes(net: nn.Module, loader: Loader, *, temperature: float = 1.0) -> Mistakes:
    """Classify every image, in stored order, by a net in evaluation mode; keep what is wrong."""
    found: list[Mistake] = []
    seen = 0
    with torch.inference_mode():
        for images, targets in loader.batches(0):
            probabilities = (net(images).float() / temperature).softmax(dim=1).cpu()
            right = targets.cpu()
            top, predicted = probabilities.max(dim=1)
            own = probabilities.gather(1, right[:, None])[:, 0]
            wrong = (predicted != right).nonzero().flatten()
            columns = (seen + wrong, *(each[wrong] for each in (right, predicted, top, own)))
            found += map(Mistake, *(column.tolist() for column in columns))
            seen += len(right)
    found.sort(key=lambda mistake: -mistake.probability)
    return Mistakes(tuple(found), seen)


@picture("mistakes", forms=("classes",))
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
        wrong = find_mistakes(model.net, loader, temperature=model.temperature)
    chosen = wrong.found[:count]
    if not chosen:
        raise UsageError(f"all {data.described} are right", remedy="try another --split")
    photos = photographs(data.at([each.image for each in chosen]), scaling=model.scaling)
    facts, cells = [], []
    for photo, each in zip(photos, chosen, strict=True):
        label, true = data.label(each.image), model.classes[each.true]
        taken = model.classes[each.predicted]
        lines = (
            f"as {taken} ({each.probability:.1%})",
            f"is {true} ({each.true_probability:.1%})",
            short(label),
        )
        cells.append(Cell(photo, "\n".join(lines)))
        sure = {"probability": each.probability, "class_probability": each.true_probability}
        facts.append({"image": label, "class": true, "predicted": taken, **sure})
    verb = "is" if len(wrong.found) == 1 else "are"
    total = f"{len(wrong.found):,} of {wrong.images:,} {data.kind} {verb} wrong"
    some = f"; the {len(chosen)} of which the network is most sure"
    title = total + some * (len(chosen) < len(wrong.found))
    figure = draw_table(in_rows(cells, columns_for(len(cells), most=8)), title=title, side=1.4)
    counts = {"split": data.split, "images": wrong.images, "wrong": len(wrong.found)}
    return Picture(figure, {**counts, "mistakes": facts}, total)
