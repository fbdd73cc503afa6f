"""Saliency: which pixels change the score of a class most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cnntrain.core.kinds import Names, Split
from cnntrain.explain import picture
from cnntrain.explain.decided import decide
from cnntrain.model.model import Model
from cnntrain.show.image_table import Cell, Picture, Scale, draw_table, heat
from cnntrain.show.pixels import Pixels, photographs


def saliency(net: nn.Module, images: Tensor, *, classes: Sequence[int]) -> Tensor:
    """The derivative of a class's score by each pixel: its largest magnitude over the channels.

    Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks", 2014, section 3. It is of
    the score before the softmax, for the probability also rises where other scores fall.

    Args:
        net: gives scores (N, classes), in evaluation mode.
        images: (N, C, H, W).
        classes: for each image a position in the list of classes.

    Returns:
        (N, H, W).
    """
    seen = images.detach().clone().requires_grad_()
    with torch.enable_grad():
        scores = net(seen)
        chosen = scores[range(len(images)), list(classes)]
        (slopes,) = torch.autograd.grad(chosen.sum(), seen)
    return slopes.abs().amax(dim=1)


def draw_saliency(
    images: Pixels, found: Tensor, *, captions: Sequence[str], aims: Sequence[str]
) -> Figure:
    """Each image with its saliency, which is scaled image by image.

    Args:
        images: (N, H, W, 3).
        found: (N, H, W).
        captions: below the images.
        aims: below the maps: their classes.
    """
    rows = []
    maps = found.cpu().float().numpy()
    for image, values, caption, aim in zip(images, maps, captions, aims, strict=True):
        top = float(np.percentile(values, 99.5)) or 1.0
        colours = heat(values, low=0, high=top, colours="magma")
        rows.append([Cell(image, caption), Cell(colours, aim)])
    return draw_table(
        rows,
        title="Saliency: |d score / d pixel|\n(Simonyan et al. 2014)",
        headings=["image", "how much the score changes"],
        side=2.2,
        scale=Scale("magma", "0", "the image's largest 0.5%"),
    )


@picture("saliency")
def saliency_picture(
    *,
    model: Model,
    images: Names = (),
    class_: str | None = None,
    split: Split | None = None,
) -> Picture:
    """Which pixels change the score of a class most."""
    decided = decide(model, images, class_, split=split)
    found = saliency(model.net, decided.images, classes=decided.targets)
    pixels = photographs(decided.images, scaling=model.scaling)
    figure = draw_saliency(pixels, found, captions=decided.captions, aims=decided.aims)
    return Picture(figure, {"method": "gradient", "images": decided.facts})
