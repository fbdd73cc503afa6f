"""The picture of images that fool the network."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from cnntrain.visualize.fool import Fooled, best
from cnntrain.visualize.pixels import coloured, signed
from cnntrain.visualize.table import Cell, draw_table


def draw_fooled(
    changed: Sequence[Fooled],
    noises: Sequence[Fooled],
    *,
    labels: Sequence[str],
    classes: Sequence[str],
) -> Figure:
    """A row per image: what it was, what was added, what the network sees now.

    Args:
        changed: images, hardly changed.
        noises: noise that the network is sure of.
        labels: of the images, then of the noises.
        classes: the names.
    """
    rows = []
    for number, each in enumerate([*changed, *noises]):
        before, after = coloured(each.pixels)[0], coloured(each.changed)[0]
        added = signed(each.changed - each.pixels)[0]
        size = f"at most {each.epsilon * 255:.0f}/255 a pixel"
        result = best(each.after, classes)
        if not each.succeeded:
            result += " (not fooled)" if number < len(changed) else " (not sure)"
        label = f"{labels[number]}\n{best(each.before, classes)}"
        rows.append([Cell(before, label), Cell(added, size), Cell(after, result)])
    return draw_table(
        rows,
        title="Images that fool the network: a step along the sign of the gradient\n"
        "(Goodfellow et al. 2015), and noise that it is sure of (Nguyen et al. 2015)",
        headings=["before", "added, enlarged", "after"],
        side=2.0,
    )
