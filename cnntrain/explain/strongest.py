"""The images, and the places in them, to which each unit of a layer answers most."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Loader
from cnntrain.model.taps import Tap, tapped


@dataclass(frozen=True)
class Answer:
    """What a unit says to an image: where in its map; the image by its position in the order."""

    image: int
    value: float
    row: int
    column: int


@dataclass(frozen=True)
class Strongest:
    """For each unit its strongest answers, one per image, in descending order.

    Args:
        values: (U, K) the answers.
        images: (U, K) positions of the images in the loader's order.
        rows: (U, K) where in the map; 0 for a flat layer.
        columns: (U, K) likewise.
        seen: how many images were looked at.
    """

    values: Tensor
    images: Tensor
    rows: Tensor
    columns: Tensor
    seen: int

    def alive(self) -> list[int]:
        """The units that are above zero for some image, those with the strongest answer first."""
        first = self.values[:, 0]
        order = first.argsort(descending=True).tolist()
        return [unit for unit in order if first[unit] > 0]

    def answers(self, unit: int) -> list[Answer]:
        """Those of one unit."""
        columns = (self.images, self.values, self.rows, self.columns)
        return [
            Answer(*row) for row in zip(*(each[unit].tolist() for each in columns), strict=True)
        ]


def strongest(net: nn.Module, loader: Loader, *, layer: str, most: int = 9) -> Strongest:
    """Run every image through the network and keep each unit's strongest answers.

    A unit of a layer with maps is a map; its answer to an image is the largest value in it
    (Zeiler and Fergus 2014, figure 2).

    Args:
        net: in evaluation mode.
        loader: in stored order.
        layer: its dotted name.
        most: answers to keep.
    """
    tap, seen = Tap(layer), 0
    values = images = places = torch.empty(0)
    width = 1
    with torch.inference_mode(), tapped(net, [tap]) as found:
        for batch in loader.batches(0):
            net(batch.images)
            maps = found[tap].float().cpu()
            width = maps.shape[3] if maps.ndim == 4 else 1
            top, where = maps.flatten(2).max(dim=2) if maps.ndim == 4 else (maps, maps * 0)
            number = torch.arange(seen, seen + len(top))[None].expand(top.shape[1], -1)
            if seen == 0:
                values, images, places = top.T, number, where.long().T
            else:
                values = torch.cat([values, top.T], dim=1)
                images = torch.cat([images, number], dim=1)
                places = torch.cat([places, where.long().T], dim=1)
            values, order = values.topk(min(most, values.shape[1]), dim=1)
            images, places = images.gather(1, order), places.gather(1, order)
            seen += len(top)
    return Strongest(values, images, places // width, places % width, seen)
