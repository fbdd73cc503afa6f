"""A picture of training images as the network sees them: what `cnntrain data show` draws."""

from __future__ import annotations

import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from cnntrain.data.batch import Loader
from cnntrain.data.splits import to_picture
from cnntrain.data.statistics import Statistics

_LEAST = 72  # pixels: smaller images are enlarged by a whole factor
_LINE = 14


def contact_sheet(
    loader: Loader,
    *,
    classes: tuple[str, ...],
    statistics: Statistics | None,
    columns: int = 8,
    rows: int = 8,
    epoch: int = 1,
) -> Image.Image:
    """The first images of an epoch, augmented, with their class names below; of mixed ones both.

    Args:
        loader: usually the training loader.
        classes: the class names.
        statistics: mean and std to be undone; None when nothing normalised.
        columns: images in a row.
        rows: rows at most.
        epoch: whose images are shown.
    """
    images, labels = _first(loader, epoch=epoch, count=columns * rows)
    pixels = denormalize(images, statistics)
    height, width = pixels.shape[2:]
    factor = max(1, -(-_LEAST // min(height, width)))
    cell = (width * factor + 4, height * factor + 4 + _LINE)
    used = -(-len(pixels) // columns)
    sheet = Image.new("RGB", (cell[0] * min(columns, len(pixels)), cell[1] * used), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default()
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        x, y = number % columns * cell[0] + 2, number // columns * cell[1] + 2
        picture = to_picture(image if len(image) in (1, 3) else image[:1]).convert("RGB")
        size = (width * factor, height * factor)
        sheet.paste(picture.resize(size, Image.Resampling.NEAREST), (x, y))
        text = " + ".join(classes[one] for one in label)
        draw.text((x, y + size[1] + 1), _fitting(text, size[0], draw, font),
                  fill="black", font=font)  # fmt: skip
    return sheet


def denormalize(images: Tensor, statistics: Statistics | None) -> Tensor:
    """`(N, C, H, W)` float as the network sees it, back to uint8; values outside are clipped."""
    pixels = images.float()
    if statistics is not None:
        mean, std = (
            torch.tensor(values, device=images.device).view(1, -1, 1, 1)
            for values in (statistics.mean, statistics.std)
        )
        pixels = pixels * std + mean
    return pixels.mul(255).round().clamp(0, 255).to(torch.uint8).cpu().contiguous()


def _first(loader: Loader, *, epoch: int, count: int) -> tuple[Tensor, list[list[int]]]:
    """Images, and the classes of each, of the largest share first."""
    images: list[Tensor] = []
    labels: list[list[int]] = []
    for batch in loader.batches(epoch):
        images.append(batch.images.cpu())
        if batch.targets.ndim == 1:
            labels += [[label] for label in batch.targets.tolist()]
        else:
            shares, order = batch.targets.cpu().sort(dim=1, descending=True)
            labels += [row[share > 0].tolist() for row, share in zip(order, shares, strict=True)]
        if len(labels) >= count:
            break
    return torch.cat(images)[:count], labels[:count]


def _fitting(
    text: str,
    width: int,
    draw: ImageDraw.ImageDraw,
    font: ImageFont.ImageFont | ImageFont.FreeTypeFont,
) -> str:
    """The text, shortened to a width in pixels."""
    if draw.textlength(text, font=font) <= width:
        return text
    while text and draw.textlength(text + "…", font=font) > width:
        text = text[:-1]
    return text + "…"
