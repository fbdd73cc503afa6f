"""Several views of each image, as published results were measured with them.

- center: the one view of the preprocessing.
- ten: the four corners and the centre, and their mirror images (Krizhevsky, Sutskever, Hinton,
  "ImageNet Classification with Deep Convolutional Neural Networks", 2012, section 4.1).
- 144: at four scales three squares; of each square its corners, its centre and all of it, and
  their mirror images (Szegedy et al., "Going Deeper with Convolutions", 2014, section 7).
- dense: the whole image, at one or several scales, and its mirror image, for a network that is slid
  over it (Simonyan and Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
  Recognition", 2015, section 3.2).

Crops are cut from the image as it is before the last `center_crop` of the preprocessing: [resize:
256, center_crop: 224] cuts them from the whole image, [resize: 256, center_crop: 256, center_crop:
224] from the square in its middle, as Krizhevsky et al. do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from cnntrain.core.kinds import Interpolation
from cnntrain.data.pipeline import Pipeline, build_eval_pipeline
from cnntrain.data.resident import read_pixels
from cnntrain.data.splits import Files, Part, from_picture
from cnntrain.data.transforms.center_crop import CenterCrop
from cnntrain.data.transforms.resize import Resize
from cnntrain.data.windows import HeightWidth, Windows, cut, whole

Crops = Literal["center", "ten", "144", "dense"]
Items = Sequence[Mapping[str, Any]]
WindowsOf = Callable[[HeightWidth], tuple[Windows, ...]]

_CROP = "center_crop"


@dataclass(frozen=True)
class Views:
    """How to make the views of an image.

    Args:
        heads: for each scale the sizing transforms before the crop, applied by Pillow.
        windows: the crops of an image of that size.
        tail: what is done to each crop, batched.
        count: of the views of an image, mirrored ones included.
    """

    heads: tuple[Pipeline, ...]
    windows: WindowsOf
    tail: Pipeline
    count: int

    @property
    def mirrored(self) -> bool:
        """Whether each view also counts mirrored left to right."""
        return self.count > 1

    def read(self, part: Part, index: int) -> list[Tensor]:
        """The views of one image, not mirrored and before the tail: uint8 `(C, H, W)`.

        Raises:
            UnreadableImageError: the file cannot be decoded.
            ValueError: a transform is impossible on the image.
        """
        if isinstance(part, Files):
            picture = part.open(index)
            scaled = [from_picture(head.picture(picture, None)) for head in self.heads]
        else:
            one = part.select(torch.tensor([index]))
            scaled = [read_pixels(one, head, name="").images[0] for head in self.heads]
        return [
            cut(image[None], window)[0]
            for image in scaled
            for window in self.windows((image.shape[1], image.shape[2]))
        ]

    def prepare(self, views: Tensor) -> Tensor:
        """`(N, C, H, W)` uint8 on the device, as the network reads it."""
        return self.tail(views, torch.Generator(views.device))


def make_views(items: Items, *, crops: Crops, scales: Sequence[int] = ()) -> Views:
    """The views that a preprocessing and a way of cropping give.

    Args:
        items: the evaluation transforms as plain data, `{"name": "resize", "size": 256}`.
        crops: see above.
        scales: for `dense`: lengths of the images' shorter side; none: that of the preprocessing.

    Raises:
        ValueError: the preprocessing has no crop or no size to be changed; the remedy stands after
            a semicolon.
    """
    if crops == "center":
        head, tail = build_eval_pipeline(items).divide(random_in_worker=False)
        return Views((head,), _uncut, tail, 1)
    if any(item["name"] == "zca" for item in items):
        raise ValueError(
            "crops are mirrored, and zca whitens each pixel for its place; use --crops center"
        )
    at = max((i for i, item in enumerate(items) if item["name"] == _CROP), default=None)
    if crops == "dense":
        uncropped = [item for i, item in enumerate(items) if i != at]
        lists = [_scaled(uncropped, scale) for scale in scales] or [uncropped]
        divided = [build_eval_pipeline(each).divide(random_in_worker=False) for each in lists]
        heads = tuple(head for head, _ in divided)
        return Views(heads, _uncut, divided[0][1], 2 * len(heads))
    if at is None:
        names = ", ".join(str(item["name"]) for item in items) or "nothing"
        raise ValueError(
            f"{crops} crops are cut where a center_crop is, and the preprocessing has none "
            f"({names}); use --crops center, or train with a center_crop in data.transforms.eval"
        )
    before, crop, after = items[:at], CenterCrop(size=items[at]["size"]), items[at + 1 :]
    tail = build_eval_pipeline(after)
    if crops == "ten":
        return Views((build_eval_pipeline(before),), lambda size: _five(size, crop), tail, 10)
    # the paper's 256, 288, 320 and 352 for crops of 224
    sides = [round(min(crop.size) * sevenths / 7) for sevenths in (8, 9, 10, 11)]
    heads = tuple(build_eval_pipeline(_scaled(before, side)) for side in sides)
    how = next(t.interpolation for s in heads[0].steps if isinstance(t := s.transform, Resize))
    return Views(heads, lambda size: _squares(size, crop, how), tail, 144)


def _scaled(items: Items, side: int) -> list[Mapping[str, Any]]:
    """The transforms with another length of the shorter side."""
    resizes = [item for item in items if item["name"] == "resize"]
    if not resizes:
        return [{"name": "resize", "size": side}, *items]
    if len(resizes) > 1 or not isinstance(resizes[0]["size"], int):
        sizes = " and ".join(f"resize: {{size: {item['size']}}}" for item in resizes)
        raise ValueError(
            f"other scales need one resize to a shorter side, and the preprocessing has {sizes}; "
            f"use --crops ten, or dense without --scales"
        )
    return [{**item, "size": side} if item["name"] == "resize" else item for item in items]


def _uncut(size: HeightWidth) -> tuple[Windows, ...]:
    return (Windows(whole(size), size, scaled=False),)


def _five(
    size: HeightWidth, crop: CenterCrop, *, top: int = 0, left: int = 0
) -> tuple[Windows, ...]:
    """The corners, in reading order, and the centre of a rectangle of the image."""
    centre = crop.windows(size, count=1, generator=None)
    height, width = crop.size
    places = [(y, x) for y in (0, size[0] - height) for x in (0, size[1] - width)]
    corners = torch.tensor([[x, y, x + width, y + height] for y, x in places])
    boxes = torch.cat([corners, centre.boxes]) + torch.tensor([left, top, left, top])
    return tuple(Windows(box[None], crop.size, scaled=False) for box in boxes)


def _squares(size: HeightWidth, crop: CenterCrop, how: Interpolation) -> tuple[Windows, ...]:
    """Six views of each of the three squares side by side along the longer side."""
    side = min(size)
    found: list[Windows] = []
    for share in (0.0, 0.5, 1.0):
        top, left = (round((length - side) * share) for length in size)
        box = torch.tensor([[left, top, left + side, top + side]], dtype=torch.float32)
        found += _five((side, side), crop, top=top, left=left)
        found.append(Windows(box, crop.size, scaled=True, interpolation=how))
    return tuple(found)
