"""Occlusion: how sure the network remains when a square of the image is hidden."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cnntrain.core.errors import UsageError
from cnntrain.core.kinds import Names, Positive, Split
from cnntrain.explain import picture
from cnntrain.explain.shown import decide
from cnntrain.model.model import Model
from cnntrain.show.image_table import Cell, Picture, Scale, draw_table, heat
from cnntrain.show.pixels import Pixels

MOST_SQUARES = 200
"""Each costs a forward pass of the image."""
_BATCH = 64
_LEAST = 0.1
"""The colours span at least such a difference, because a smaller one means nothing."""


@dataclass(frozen=True)
class Occlusion:
    """What hiding parts of one image does to a class's probability.

    Args:
        whole: the probability with nothing hidden.
        lowest: with that square hidden that hurts most.
        square: top and left of that square.
        pixels: (H, W), for each pixel the mean probability over the squares that hide it.
    """

    whole: float
    lowest: float
    square: tuple[int, int]
    pixels: Tensor


def occlude(net: nn.Module, image: Tensor, *, target: int, size: int, stride: int) -> Occlusion:
    """Slide a square over an image and classify each time.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 4.2.
    The square has the image's mean colour.

    Args:
        net: gives scores, in evaluation mode.
        image: (1, C, H, W).
        target: the class.
        size: side of the square in pixels; at most that of the image.
        stride: step in pixels; the last square ends at the border.
    """
    height, width = image.shape[2:]
    grid = list(product(_starts(height, size, stride), _starts(width, size, stride)))
    fill = image.mean(dim=(2, 3), keepdim=True)[0]
    found: list[Tensor] = []
    with torch.inference_mode():
        whole = float(net(image).float().softmax(dim=1)[0, target])
        for first in range(0, len(grid), _BATCH):
            places = grid[first : first + _BATCH]
            batch = image.repeat(len(places), 1, 1, 1)
            for hidden, (top, left) in zip(batch, places, strict=True):
                hidden[:, top : top + size, left : left + size] = fill
            found.append(net(batch).float().softmax(dim=1)[:, target].cpu())
    probabilities = torch.cat(found)
    total, count = torch.zeros(height, width), torch.zeros(height, width)
    for (top, left), probability in zip(grid, probabilities.tolist(), strict=True):
        total[top : top + size, left : left + size] += probability
        count[top : top + size, left : left + size] += 1
    worst = int(probabilities.argmin())
    return Occlusion(whole, float(probabilities[worst]), grid[worst], total / count)


def usual_stride(height: int, width: int, *, size: int) -> int:
    """The smallest step of which there are at most `MOST_SQUARES`; squares leave no gaps."""

    def squares(step: int) -> int:
        return len(_starts(height, size, step)) * len(_starts(width, size, step))

    return next((step for step in range(1, size) if squares(step) <= MOST_SQUARES), size)


def _starts(length: int, size: int, stride: int) -> list[int]:
    last = length - size
    return [*range(0, last, stride), last]


def draw_occlusion(
    images: Pixels,
    found: Sequence[Occlusion],
    *,
    size: int,
    captions: Sequence[str],
    aims: Sequence[str],
) -> Figure:
    """Each image (H, W, 3), the probability that remains, and the square that hurts most.

    All maps have one scale. The square of the last column lowers the probability more than any
    colour of the map says, which is a mean over squares. Captions stand below the images, aims
    (the classes) below the maps.
    """
    rows = []
    ends = [float(end) for each in found for end in each.pixels.aminmax()]
    low = max(0.0, min(*ends, max(ends) - _LEAST))
    high = max(*ends, low + _LEAST)
    for image, each, caption, aim in zip(images, found, captions, aims, strict=True):
        remains = heat(each.pixels.numpy(), low=low, high=high)
        top, left = each.square
        hidden = image.copy()
        hidden[top : top + size, left : left + size] = image.mean(axis=(0, 1))
        means = " to ".join(f"{float(end):.1%}" for end in each.pixels.aminmax())
        alone = f"this square alone: {each.lowest:.1%}\nin place of {each.whole:.1%}"
        middle = Cell(remains, f"{aim}\nmeans: {means}")
        rows.append([Cell(image, caption), middle, Cell(hidden, alone)])
    return draw_table(
        rows,
        title=f"Occlusion by a square of {size} x {size} pixels (Zeiler and Fergus 2014)\n"
        "colours: a pixel's mean probability over all squares that hide it",
        headings=["image", "probability when hidden", "the square that hurts most"],
        side=2.2,
        scale=Scale("viridis", f"{low:.1%}", f"{high:.1%}"),
    )


@picture("occlusion", forms=("classes",))
def occlusion(
    *,
    model: Model,
    images: Names = (),
    class_: str | None = None,
    size: Positive | None = None,
    stride: Positive | None = None,
    split: Split | None = None,
) -> Picture:
    """How sure the network remains when a square is hidden.

    Args:
        size: side of the square in pixels. Default: a quarter.
        stride: step in pixels. Default: such that at most 200 squares are tried.
    """
    height, width = model.in_shape[1:]
    side = min(height, width)
    square = size or max(1, side // 4)
    if square >= side:
        raise UsageError(
            f"a square of {square} hides the whole image", remedy=f"--size below {side}"
        )
    step = stride or usual_stride(height, width, size=square)
    if step > square:
        raise UsageError(
            f"a step of {step} pixels leaves gaps between squares of {square}",
            remedy="lower --stride or raise --size",
        )
    decided = decide(model, images, class_, split=split)
    found = [
        occlude(model.net, image, target=aim, size=square, stride=step)
        for image, aim in zip(torch.split(decided.images, 1), decided.targets, strict=True)
    ]
    figure = draw_occlusion(
        decided.pixels, found, size=square, captions=decided.captions, aims=decided.aims
    )
    facts = [
        {
            **known,
            "whole": each.whole,
            "lowest": each.lowest,
            "square": {"top": each.square[0], "left": each.square[1], "size": square},
        }
        for known, each in zip(decided.facts, found, strict=True)
    ]
    return Picture(figure, {"size": square, "stride": step, "images": facts})
