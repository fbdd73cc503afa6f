"""A picture of training images as the network sees them: what `cnntrain data show` draws."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from cnntrain.data.batch import Loader
from cnntrain.data.statistics import denormalize
from cnntrain.show.pixels import Scaling, coloured, magnified, mosaic
from cnntrain.show.words import shortened
from cnntrain.tasks.targets import Targets

_LEAST = 72  # pixels: smaller images are enlarged by a whole factor
_LINE = 14


def contact_sheet(
    loader: Loader,
    *,
    targets: Targets,
    statistics: Scaling | None,
    columns: int = 8,
    rows: int = 8,
    epoch: int = 1,
) -> Image.Image:
    """The first images of an epoch, augmented, each with its target below.

    Args:
        loader: usually the training loader.
        targets: what the images are learnt with.
        statistics: mean and std to be undone; None when nothing normalised.
        columns: images in a row.
        rows: rows at most.
        epoch: whose images are shown.
    """
    images, wanted = first_images(loader, epoch=epoch, count=columns * rows)
    pixels = denormalize(images, statistics)
    columns = min(columns, len(pixels))
    tiles = magnified(coloured(pixels / 255), max(1, -(-_LEAST // min(pixels.shape[2:]))))
    height, width = tiles.shape[1:3]
    with_line = np.pad(tiles, ((0, 0), (0, _LINE), (0, 0), (0, 0)), constant_values=1)
    cells = mosaic(with_line, columns=columns, gap=4, edge=2)
    sheet = Image.fromarray((255 * cells).round().astype(np.uint8))
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default()
    for number, target in enumerate(wanted):
        x, y = number % columns * (width + 4) + 2, number // columns * (height + _LINE + 4) + 2
        text = shortened(
            targets.say(target), width, measure=lambda text: draw.textlength(text, font=font)
        )
        draw.text((x, y + height + 1), text, fill="black", font=font)
    return sheet


def first_images(loader: Loader, *, epoch: int, count: int) -> tuple[Tensor, list[Tensor]]:
    """The first images of an epoch `(N, C, H, W)`, and the target of each; see `Targets.say`.

    They are transformed, normalisation included; with mixup or cutmix an image has several classes.
    """
    images: list[Tensor] = []
    targets: list[Tensor] = []
    for batch in loader.batches(epoch):
        images.append(batch.images.cpu())
        targets += batch.targets.cpu()
        if len(targets) >= count:
            break
    return torch.cat(images)[:count], targets[:count]
