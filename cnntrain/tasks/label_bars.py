"""How well each label is found, as a picture."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from cnntrain.core.atomic import write_output
from cnntrain.tasks.multilabel_report import Multilabel


def draw_bars(result: Multilabel, *, path: Path) -> None:
    """Draw average precision and F1 of each label into a PNG, which is overwritten.

    Raises:
        DiskError: the file cannot be written.
    """
    count = len(result.names)
    figure = Figure(figsize=(7, max(2.5, 1.2 + 0.32 * count)), layout="constrained")
    axes = figure.subplots()
    places = range(count)
    for move, name, values in (
        (-0.2, "average precision", [each.average_precision or 0.0 for each in result.labels]),
        (0.2, "F1", [each.f1 for each in result.labels]),
    ):
        axes.barh([place + move for place in places], values, height=0.38, label=name)
    axes.set_yticks(list(places), result.names, parse_math=False)
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(loc="lower right")
    axes.set_title(f"{result.images:,} images, mAP {result.mean_average_precision or 0.0:.2%}")
    made = io.BytesIO()
    figure.savefig(made, format="png", dpi=120)
    write_output(path, made.getvalue())
