"""Images that a network gives back, as a picture: targets, outputs and differences in rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure
from torch import Tensor

from cnntrain.show.image_table import Cell, draw_table, save
from cnntrain.show.pixels import coloured
from cnntrain.tasks.image_quality import psnr


def draw_images(sample: Tensor, *, path: Path) -> None:
    """Draw `(2, M, C, H, W)`, targets and outputs from 0 to 1, into a PNG, which is overwritten.

    Raises:
        DiskError: the file cannot be written.
    """
    targets, outputs = sample
    figure = rows_figure({"target": targets, "output": outputs}, target=targets)
    save(figure, path)


def rows_figure(
    images: dict[str, Tensor], *, target: Tensor, captions: Sequence[str] = (), title: str = ""
) -> Figure:
    """A row for each kind of image, and one of how much the last kind is off.

    Args:
        images: `(N, C, H, W)` from 0 to 1 by what they are; below those that are not the target
            stands their PSNR.
        target: of the same shape.
        captions: of the images, below the first row.
        title: above all.
    """
    rows = []
    for found in images.values():
        ratios = [""] * len(found)
        if found is not target:
            ratios = [f"{value:.1f} dB" for value in psnr(found, target).tolist()]
        elif captions:
            ratios = list(captions)
        rows.append([Cell(p, text) for p, text in zip(coloured(found), ratios, strict=True)])
    off = coloured((found - target).abs())
    rows.append([Cell(each) for each in off])
    return draw_table(rows, labels=[*images, "difference"], title=title)
