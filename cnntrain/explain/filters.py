"""The kernels of a layer as tiles."""

from __future__ import annotations

from matplotlib.figure import Figure
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.explain import picture
from cnntrain.model.find_layers import all_kernels, find_layer
from cnntrain.model.model import Model
from cnntrain.show.image_table import Picture, columns_for, draw_table
from cnntrain.show.pixels import signed
from cnntrain.show.tiles import numbered, ruled
from cnntrain.show.words import listed

MOST_TILES, MOST_ROWS, MOST_COLUMNS = 256, 24, 32


def draw_filters(weight: Tensor, *, name: str) -> Figure:
    """Kernels (out, in, height, width) over one or three maps as grey or colour tiles.

    Others are a row of grey slices. All are numbered from 0.
    """
    out, inputs, height, width = weight.shape
    what = f"{name}: {out} filters of {height} x {width} over {inputs} map{'s' * (inputs > 1)}"
    if inputs in (1, 3):
        tiles = signed(weight[:MOST_TILES])
        shown = "" if out <= MOST_TILES else f"; the first {MOST_TILES}"
        title = f"{what}{shown}\neach scaled by its largest weight; grey is zero"
        cell, side = numbered(tiles, columns=columns_for(len(tiles)), title=title)
    else:
        part = weight[:MOST_ROWS, :MOST_COLUMNS]
        # one scale a row, so that the slices of a filter can be compared
        tiles = signed(part.permute(0, 2, 1, 3).flatten(2)[:, None])
        tiles = tiles.reshape(len(part), height, part.shape[1], width, 3)
        tiles = tiles.transpose(0, 2, 1, 3, 4).reshape(-1, height, width, 3)
        shown = f"; the first {len(part)} filters and {part.shape[1]} maps"
        shown = shown if out > MOST_ROWS or inputs > MOST_COLUMNS else ""
        title = (
            f"{what}{shown}\na row is a filter, a column a map that it reads;\n"
            "each row scaled by its largest weight; grey is zero"
        )
        cell, side = ruled(tiles, columns=part.shape[1], title=title)
    return draw_table([[cell]], title=title, side=side)


@picture("filters")
def filters(
    *,
    model: Model,
    layer: str | None = None,
) -> Picture:
    """The kernels of a layer as tiles. Default: the first."""
    name, weight = kernels(model, layer)
    figure = draw_filters(weight.detach().float().cpu(), name=name)
    return Picture(figure, {"layer": name, "shape": list(weight.shape)})


def kernels(model: Model, layer: str | None) -> tuple[str, Tensor]:
    """The name of a layer, and its weights (out, in, height, width).

    Raises:
        UsageError: there are no such weights, or several in one layer.
    """
    found = all_kernels(model)
    if layer is None:
        if not found:
            raise UsageError("the network has no filters", remedy="only convolutions have some")
        return next(iter(found.items()))
    find_layer(model, layer)
    inside = {n: w for n, w in found.items() if n == layer or n.startswith(f"{layer}.")}
    if len(inside) == 1:
        return next(iter(inside.items()))
    some = listed(list(inside or found), most=8)
    if inside:
        raise UsageError(f"'{layer}' has several layers with filters", remedy=f"name one: {some}")
    raise UsageError(f"'{layer}' has no filters", remedy=f"these have: {some}" if found else "")
