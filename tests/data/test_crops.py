"""The views of an image are those of the papers, restated with Pillow and torchvision."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from cnntrain.data.crops import Views, make_views
from cnntrain.data.splits import Files, Pixels, from_picture

Size = tuple[int, int]
NORMALIZE = {"name": "normalize", "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}


def steps(*sizing: tuple[str, Any]) -> list[dict[str, Any]]:
    return [*({"name": name, "size": size} for name, size in sizing), NORMALIZE]


def picture(size: Size) -> Image.Image:
    """Noise of that height and width: no two pixels of a row or column are alike for long."""
    random = np.random.default_rng(3)
    return Image.fromarray(random.integers(0, 256, (*size, 3), dtype=np.uint8))


def read(views: Views, image: Image.Image) -> list[Tensor]:
    return views.read(Pixels(from_picture(image)[None], torch.tensor([0])), 0)


def contents(images: Sequence[Tensor]) -> list[bytes]:
    return sorted(image.contiguous().numpy().tobytes() for image in images)


@pytest.mark.parametrize("size", [(40, 40), (30, 46), (52, 36)])
def test_ten_crops_are_torchvisions(size: Size) -> None:
    views = make_views(steps(("resize", 24), ("center_crop", 16)), crops="ten")
    found = read(views, picture(size))
    expected = v2.TenCrop(16)(v2.Resize(24)(picture(size)))
    both = [*found, *(view.flip(2) for view in found)]
    assert contents(both) == contents([from_picture(each) for each in expected])
    assert views.count == 10
    assert views.mirrored


def test_ten_crops_of_the_square_in_the_middle_if_the_preprocessing_cuts_it_first() -> None:
    """As Krizhevsky et al. 2012 cut 224 x 224 patches from the 256 x 256 one (sections 2, 4.1)."""
    listed = steps(("resize", 24), ("center_crop", 24), ("center_crop", 16))
    found = read(make_views(listed, crops="ten"), picture((30, 60)))
    square = v2.CenterCrop(24)(v2.Resize(24)(picture((30, 60))))
    assert contents(found) == contents([from_picture(each) for each in v2.FiveCrop(16)(square)])


def test_the_views_of_a_file_are_those_of_its_pixels(tmp_path: Path) -> None:
    image = picture((31, 43))
    image.save(tmp_path / "image.png")
    part = Files((tmp_path / "image.png",), torch.tensor([0]), 3)
    for crops in ("center", "ten", "144", "dense"):
        views = make_views(steps(("resize", 24), ("center_crop", 14)), crops=crops)
        pairs = zip(views.read(part, 0), read(views, image), strict=True)
        assert all(torch.equal(file, pixels) for file, pixels in pairs)


@pytest.mark.parametrize("how", ["bilinear", "bicubic"])
def test_144_crops_are_googlenets(how: str) -> None:
    """Szegedy et al. 2014, section 7, restated; sides 256, 288, 320, 352 for a crop of 224."""
    image, kind = picture((300, 420)), Image.Resampling[how.upper()]
    resize, *others = steps(("resize", 256), ("center_crop", 224))
    views = make_views([{**resize, "interpolation": how}, *others], crops="144")
    found = read(views, image)
    expected, whole = [], []
    for side in (256, 288, 320, 352):
        wide = image.resize((int(side * 420 / 300), side), kind)
        room = wide.width - side
        for left in (0, round(room / 2), room):
            square = wide.crop((left, 0, left + side, side))
            expected += v2.FiveCrop(224)(square)
            whole.append(square.resize((224, 224), kind))
    assert views.count == 144 == 2 * len(found)
    numbers = range(len(found))
    cut = [found[n] for n in numbers if n % 6 != 5]
    assert contents(cut) == contents([from_picture(each) for each in expected])
    for view, square in zip(found[5::6], whole, strict=True):
        # resized by Pillow here and by us as a product of matrices: rounding differs
        assert (view.int() - from_picture(square).int()).abs().max() <= 1


def test_144_crops_of_an_upright_image_are_those_of_the_turned_one() -> None:
    views = make_views(steps(("resize", 24), ("center_crop", 14)), crops="144")
    lying, upright = picture((30, 40)), picture((30, 40)).transpose(Image.Transpose.TRANSPOSE)
    places = [6 * square + place for square in range(12) for place in (0, 2, 1, 3, 4, 5)]
    turned = read(views, upright)
    for number, view in zip(places, read(views, lying), strict=True):
        # Pillow rounds between its horizontal and its vertical pass
        assert (turned[number].transpose(1, 2).int() - view.int()).abs().max() <= 2


def test_dense_views_are_the_whole_image_at_each_scale() -> None:
    listed = steps(("resize", 24), ("center_crop", 16))
    image = picture((30, 45))
    [found] = read(make_views(listed, crops="dense"), image)
    assert torch.equal(found, from_picture(v2.Resize(24)(image)))
    views = make_views(listed, crops="dense", scales=(16, 40))
    small, large = read(views, image)
    assert torch.equal(small, from_picture(v2.Resize(16)(image)))
    assert torch.equal(large, from_picture(v2.Resize(40)(image)))
    assert views.count == 4


def test_dense_views_need_neither_a_crop_nor_a_resize() -> None:
    image = picture((12, 12))
    [found] = read(make_views([NORMALIZE], crops="dense"), image)
    assert torch.equal(found, from_picture(image))
    [found] = read(make_views([NORMALIZE], crops="dense", scales=(18,)), image)
    assert torch.equal(found, from_picture(v2.Resize(18)(image)))


def test_what_follows_the_crop_is_done_to_each_view() -> None:
    listed = [{"name": "center_crop", "size": 16}, {"name": "resize", "size": 8}, NORMALIZE]
    views = make_views(listed, crops="ten")
    found = views.prepare(torch.stack(read(views, picture((20, 20)))))
    crops = torch.stack([from_picture(each) for each in v2.FiveCrop(16)(picture((20, 20)))])
    resized = v2.functional.resize(crops.float(), [8, 8], antialias=True) / 255
    mean, std = (torch.tensor(NORMALIZE[key]).view(1, 3, 1, 1) for key in ("mean", "std"))
    assert (found - (resized - mean) / std).abs().max() < 0.02  # half a grey level of rounding


@pytest.mark.parametrize(
    ("listed", "crops", "scales", "says"),
    [
        (steps(("resize", 24)), "ten", (), r"has none \(resize, normalize\); use --crops center"),
        ([], "144", (), r"has none \(nothing\)"),
        (steps(("resize", [24, 24])), "dense", (32,), r"resize: \{size: \[24, 24\]\}; use"),
        (steps(("resize", 24), ("resize", 20)), "dense", (32,), "24} and resize: {size: 20}"),
        ([{"name": "center_crop", "size": 8}, {"name": "zca"}], "ten", (), "whitens each pixel"),
    ],
)
def test_what_cannot_be_cut(listed: Any, crops: Any, scales: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        make_views(listed, crops=crops, scales=scales)


def test_an_image_smaller_than_its_crops_is_refused() -> None:
    views = make_views(steps(("center_crop", 16)), crops="ten")
    with pytest.raises(ValueError, match="a crop of 16 x 16 is larger than the image of 12 x 20"):
        read(views, picture((12, 20)))
