"""Saliency: which pixels change the score of a class most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cnntrain.core.kinds import Names, Split
from cnntrain.explain import picture
from cnntrain.explain.shown import Decided, decide
from cnntrain.model.model import Model
from cnntrain.show.image_table import Cell, Picture, Scale, draw_table, heat


def saliency(net: nn.Module, images: Tensor, *, classes: Sequence[int]) -> Tensor:
    """The derivative of a class's score by each pixel: its largest magnitude over the channels.

    Simonyan, Vedaldi, Zisserman, "Deep Inside Convolutional Networks", 2014, section 3. It is of
    the score before the softmax, because the probability also rises where other scores fall.

    Args:
        net: gives scores (N, classes), in evaluation mode.
        images: (N, C, H, W).
        classes: one for each image.

    Returns:
        (N, H, W).
    """
    seen = images.detach().clone().requires_grad_()
    with torch.enable_grad():
        scores = net(seen)
        chosen = scores[range(len(images)), list(classes)]
        (slopes,) = torch.autograd.grad(chosen.sum(), seen)
    return slopes.abs().amax(dim=1)


def draw_saliency(found: Tensor, decided: Decided) -> Figure:
    """Each image with its saliency (N, H, W), which is scaled image by image."""
    rows = []
    maps = found.cpu().float().numpy()
    for image, values, caption, aim in zip(
        decided.pixels, maps, decided.captions, decided.aims, strict=True
    ):
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


@picture("saliency", forms=("classes",))
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
    return Picture(draw_saliency(found, decided), {"method": "gradient", "images": decided.facts})
