"""Cutting windows out of images and bringing them to one size.

A sizing transform (resize, crops) only says which window of an image becomes the result; the
window is cut either here, batched, on the device, or by Pillow, image by image, in a worker. Both
follow one formula: cut first, then resize with a filter that is widened when shrinking (Pillow's
BILINEAR and BICUBIC, torchvision's `antialias=True`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from cnntrain.core.kinds import Interpolation
from cnntrain.data.on_device import middles, on_host, sent

Border = Literal["zero", "reflect"]
HeightWidth = tuple[int, int]
Picture = Image.Image | NDArray[np.uint8]
"""One image: Pillow's, or pixels `(H, W, C)`."""


@dataclass(frozen=True)
class Windows:
    """The windows of a batch.

    Args:
        boxes: `(N, 4)` or, when one serves for all, `(1, 4)` float32 on the CPU: left, top, right,
            bottom in pixels.
        size: height and width of the result.
        scaled: whether windows are resized; if not, boxes are whole pixels of just that size.
        margin: rows and columns by which boxes may lie outside of the image.
        border: what stands outside: zero, or the image reflected at its edge.
        interpolation: the filter with which windows are resized: a triangle, or Keys' cubic.
    """

    boxes: Tensor
    size: HeightWidth
    scaled: bool
    margin: HeightWidth = (0, 0)
    border: Border = "zero"
    interpolation: Interpolation = "bilinear"


@runtime_checkable
class Sizing(Protocol):
    """A transform that is nothing but a choice of windows."""

    def windows(
        self, size: HeightWidth, *, count: int, generator: torch.Generator | None
    ) -> Windows:
        """The windows for `count` images of one size; random ones from `generator`, on the CPU.

        Raises:
            ValueError: the transform is impossible on images of that size.
        """
        ...


class Cutting:
    """Part of a sizing transform: its windows are cut out of a batch."""

    def __call__(self: Sizing, images: Tensor, generator: torch.Generator) -> Tensor:
        """Cut `(N, C, H, W)`; the windows are drawn on the host."""
        size, host = (images.shape[2], images.shape[3]), on_host(generator)
        return cut(images, self.windows(size, count=len(images), generator=host))


def whole(size: HeightWidth) -> Tensor:
    """The box `(1, 4)` of the whole image."""
    return torch.tensor([[0.0, 0.0, size[1], size[0]]])


def cut(images: Tensor, windows: Windows) -> Tensor:
    """The windows of a batch.

    Args:
        images: `(N, C, H, W)` uint8 or float.
        windows: N boxes, or one for all.

    Returns:
        `(N, C, *windows.size)` of the same type.
    """
    if windows.scaled:
        assert windows.margin == (0, 0)
        return _resample(images, windows)
    if len(windows.boxes) == 1 and windows.margin == (0, 0):
        left, top, right, bottom = (int(edge) for edge in windows.boxes[0].tolist())
        return images[:, :, top:bottom, left:right]
    return _crop(images, windows)


def cut_picture(picture: Image.Image, windows: Windows) -> Image.Image:
    """The (one) window of a Pillow image."""
    left, top, right, bottom = (round(edge) for edge in windows.boxes[0].tolist())
    rows, columns = windows.margin
    if (rows, columns) != (0, 0) and windows.border == "reflect":
        array = np.asarray(picture)
        pads = ((rows, rows), (columns, columns), (0, 0))[: array.ndim]
        picture = Image.fromarray(np.pad(array, pads, mode="reflect"))
        left, right, top, bottom = left + columns, right + columns, top + rows, bottom + rows
    if (left, top, right, bottom) != (0, 0, *picture.size):
        picture = picture.crop((left, top, right, bottom))  # zero outside
    height, width = windows.size
    if windows.scaled and picture.size != (width, height):
        how = Image.Resampling[windows.interpolation.upper()]
        picture = picture.resize((width, height), how)
    return picture


def cut_one(picture: Picture, windows: Windows) -> Picture:
    """The (one) window of an image in either form."""
    if isinstance(picture, Image.Image):
        return cut_picture(picture, windows)
    return _cut_array(picture, windows)


def cut_fast(picture: Picture, windows: Windows) -> Picture:
    """The same; what is resized is resized by torch, which is three times as fast as Pillow.

    It has Pillow's filter and coarser weights: 3 % of the values differ, by 1 or 2 of 255.
    """
    if not windows.scaled or not isinstance(picture, Image.Image):
        return cut_one(picture, windows)
    left, top, right, bottom = (round(edge) for edge in windows.boxes[0].tolist())
    content = bytearray(picture.crop((left, top, right, bottom)).tobytes())
    pixels = np.frombuffer(content, np.uint8).reshape(bottom - top, right - left, -1)
    return _resized(pixels, windows)


def size_of(picture: Picture) -> HeightWidth:
    """Height and width."""
    if isinstance(picture, Image.Image):
        return picture.height, picture.width
    return picture.shape[0], picture.shape[1]


def shrunk(windows: Windows, *, original: HeightWidth, actual: HeightWidth) -> Windows:
    """The same windows of an image that was decoded at a smaller size."""
    if original == actual:
        return windows
    y, x = actual[0] / original[0], actual[1] / original[1]
    boxes = (windows.boxes * torch.tensor([x, y, x, y])).round()
    boxes[:, 2] = boxes[:, 2].clamp(max=actual[1])
    boxes[:, 3] = boxes[:, 3].clamp(max=actual[0])
    return replace(windows, boxes=boxes)


def reduction_factor(windows: Windows) -> float:
    """By which factor an image may be shrunk before its window is resized to the result."""
    if not windows.scaled:
        return 1.0
    left, top, right, bottom = windows.boxes[0].tolist()
    return float(min((bottom - top) / windows.size[0], (right - left) / windows.size[1]))


def _cut_array(pixels: NDArray[np.uint8], windows: Windows) -> NDArray[np.uint8]:
    if not windows.scaled:
        images = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None]
        found: NDArray[np.uint8] = cut(images, windows)[0].permute(1, 2, 0).numpy()
        return found
    left, top, right, bottom = (round(edge) for edge in windows.boxes[0].tolist())
    # a copy: torch warns of what cannot be written to
    return _resized(np.array(pixels[top:bottom, left:right]), windows)


def _resized(window: NDArray[np.uint8], windows: Windows) -> NDArray[np.uint8]:
    if window.shape[:2] == windows.size:
        return window
    # so that torch sees the order of the channels, and keeps it
    image, how = torch.from_numpy(window)[None].permute(0, 3, 1, 2), windows.interpolation
    resized = F.interpolate(image, windows.size, mode=how, align_corners=False, antialias=True)
    result: NDArray[np.uint8] = resized[0].permute(1, 2, 0).numpy()
    return result


def _crop(images: Tensor, windows: Windows) -> Tensor:
    (height, width), (rows, columns) = windows.size, windows.margin
    pads, padded = (columns, columns, rows, rows), images
    if windows.border == "reflect":
        # reflection of integers is not implemented by torch for every device
        padded = F.pad(images.float(), pads, mode="reflect").to(images.dtype)
    elif any(pads):
        padded = F.pad(images, pads)
    count = len(images)
    corners = (windows.boxes[:, :2].long() + torch.tensor([columns, rows])).expand(count, 2)
    # One gather from a view of all possible windows: no loop over the images, no copy of them.
    views = padded.unfold(2, height, 1).unfold(3, width, 1)
    number, left, top = sent(torch.cat([torch.arange(count)[None], corners.T]), images.device)
    return views[number, :, top, left]


def _resample(images: Tensor, windows: Windows) -> Tensor:
    count, channels, height, width = images.shape
    (rows, columns), wide = windows.size, width * channels
    down, across = (each.expand(count, -1, -1) for each in _weights(windows, images))
    # The channels of a line next to each other: one product for all of them, without copies.
    pixels = torch.empty(count, height, channels, width, device=images.device)
    pixels.copy_(images.permute(0, 2, 1, 3))
    if windows.interpolation == "bilinear":
        lines = torch.bmm(down, pixels.view(count, height, wide)).view(count, -1, width)
        result = torch.bmm(lines, across.mT).view(count, rows, channels, columns)
    else:
        # Cubic weights may be negative, so 8-bit pixels are clipped between the passes, as by
        # Pillow.
        lines = torch.bmm(pixels.view(count, -1, width), across.mT)
        lines = lines if images.is_floating_point() else lines.round_().clamp_(0, 255)
        result = torch.bmm(down, lines.view(count, height, -1)).view(count, rows, channels, columns)
    if not images.is_floating_point():
        result.round_().clamp_(0, 255)
    last = images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()
    layout = torch.channels_last if last else torch.contiguous_format
    return result.permute(0, 2, 1, 3).to(images.dtype, memory_format=layout)


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp(min=0)


def _cubic(distance: Tensor) -> Tensor:
    """Keys, "Cubic Convolution Interpolation for Digital Image Processing", 1981, equation 4.

    With a = -1/2 there (equation 15), as in Pillow.
    """
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0))


_FILTERS: dict[Interpolation, Callable[[Tensor], Tensor]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
}


def _weights(windows: Windows, images: Tensor) -> tuple[Tensor, Tensor]:
    """What each pixel of a column contributes to each of the result's, and each pixel of a line.

    `(N, rows, height)` and `(N, columns, width)`; both are computed at once, padded to one size.
    """
    (height, width), (rows, columns), device = images.shape[-2:], windows.size, images.device
    low, high = windows.boxes[:, :2].T, windows.boxes[:, 2:].T
    scale = (high - low) / torch.tensor([[columns], [rows]])
    facts = sent(torch.stack([low, high, scale, scale.clamp(min=1.0)]), device)
    low, high, scale, support = facts[..., None, None].unbind(0)
    pixel = middles(max(height, width), device)
    centre = low + scale * middles(max(rows, columns), device)[:, None]
    inside = (pixel > low) & (pixel < high)
    weights = _FILTERS[windows.interpolation]((pixel - centre).abs_().div_(support)).mul_(inside)
    weights.div_(weights.sum(-1, keepdim=True))
    return weights[1, :, :rows, :height], weights[0, :, :columns, :width]
