"""Key points: where they are, and where the network sees them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Count, Split
from cnntrain.data.splits import from_picture
from cnntrain.explain import picture
from cnntrain.explain.shown import short
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.show.image_table import Picture, columns_for
from cnntrain.show.pixels import coloured
from cnntrain.tasks.answers import answers_of


@picture("points", forms=("numbers",))
def points(
    *,
    model: Model,
    count: Count = 8,
    split: Split | None = None,
) -> Picture:
    """Where key points are, and where the network sees them.

    They are drawn on the images as they are stored, with a line from one to the other.

    Args:
        count: images to show.

    Raises:
        UsageError: the numbers are not said to be points.
    """
    if not model.loaded.config.task.parameters.get("pck"):
        message = "the numbers are not said to be the coordinates of points"
        raise UsageError(message, remedy="train with task.pck, such as `-s task.pck=0.2`")
    data = find_images(model, split=split)
    numbers = range(min(count, len(data.positions)))
    given = answers_of(model.task, model.logits(data.at(numbers))).cpu()
    wide = columns_for(len(numbers), most=4)
    figure = Figure(figsize=(2.4 * wide, 2.6 * -(-len(numbers) // wide)), layout="constrained")
    panels = figure.subplots(-(-len(numbers) // wide), wide, squeeze=False).flatten()
    facts = []
    for number, axes in zip(numbers, panels, strict=False):
        pixels = from_picture(data.part.open(int(data.positions[number])))
        true, seen = (each[number].view(-1, 2).tolist() for each in (data.targets, given))
        axes.imshow(coloured(pixels[None].float() / 255)[0])
        for (x, y), (u, v) in zip(true, seen, strict=True):
            axes.plot([x, u], [y, v], color="C1", linewidth=1)
        axes.scatter(*np.transpose(true), s=28, facecolors="none", edgecolors="C2")
        axes.scatter(*np.transpose(seen), s=20, marker="x", color="C3", linewidths=1)
        axes.set_title(short(data.label(number)), fontsize=8, parse_math=False)
        facts.append({"image": data.label(number), "true": true, "predicted": seen})
    for axes in panels:
        axes.set_axis_off()
    figure.suptitle(f"rings: true, crosses: predicted; {data.described}", fontsize=9)
    return Picture(figure, {"split": data.split, "images": facts})
