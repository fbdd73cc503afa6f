"""Cutting windows: Pillow and the batched form against each other and against torchvision."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as oracle
from PIL import Image
from torchvision.transforms import InterpolationMode

from cnntrain.data.splits import from_picture, to_picture
from cnntrain.data.windows import (
    Windows,
    cut,
    cut_fast,
    cut_one,
    cut_picture,
    reduction_factor,
    shrunk,
    whole,
)

BICUBIC = Image.Resampling.BICUBIC
BOXES = [(0, 0, 23, 17), (3, 2, 20, 15), (5, 5, 6, 6), (1, 0, 9, 17)]
SIZES = [(8, 8), (17, 23), (40, 31), (1, 5)]
MODES = {"bilinear": InterpolationMode.BILINEAR, "bicubic": InterpolationMode.BICUBIC}


@pytest.fixture
def images() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (len(BOXES), 3, 17, 23), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("how", MODES)
@pytest.mark.parametrize("size", SIZES)
def test_pillow_and_torchvision_give_the_same_pixels(images, size, how) -> None:
    for image, (left, top, right, bottom) in zip(images, BOXES, strict=True):
        box = torch.tensor([[left, top, right, bottom]]).float()
        windows = Windows(box, size, scaled=True, interpolation=how)
        ours = cut_picture(to_picture(image), windows)
        sides = bottom - top, right - left
        theirs = oracle.resized_crop(
            to_picture(image), top, left, *sides, list(size), interpolation=MODES[how]
        )
        assert np.array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("size", SIZES)
def test_the_batch_agrees_with_pillow_within_its_rounding(images, size) -> None:
    windows = Windows(torch.tensor(BOXES).float(), size, scaled=True)
    batched = cut(images, windows)
    for image, box, result in zip(images, windows.boxes, batched, strict=True):
        single = cut_picture(to_picture(image), Windows(box[None], size, scaled=True))
        # Pillow rounds to 8 bits between its two passes, the batch only at the end
        assert (from_picture(single).int() - result.int()).abs().max() <= 1


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_the_fast_way_differs_from_pillow_by_its_rounding(images, size, grey) -> None:
    """Of a picture and of pixels alike, which stay as they are."""
    for image, box in zip(images[:, :1] if grey else images, BOXES, strict=True):
        windows = Windows(torch.tensor([box]).float(), size, scaled=True)
        picture = to_picture(image)
        expected = from_picture(cut_picture(picture, windows)).int()
        pixels = np.asarray(picture).reshape(17, 23, -1)
        pixels.setflags(write=False)
        found = [from_picture(cut_fast(picture, windows)), from_picture(cut_one(pixels, windows))]
        assert torch.equal(*found)
        assert (found[0].int() - expected).abs().max() <= 2
        # torch was given, and has kept, the order in which channels are innermost
        assert from_picture(cut_fast(picture, windows), channels_last=True).stride(2) == len(image)


def test_pixels_are_cut_as_pictures_are(images) -> None:
    """Without resizing: inside, and beyond the border."""
    picture, pixels = to_picture(images[0]), images[0].permute(1, 2, 0).numpy()
    for box, how in (
        ([5, 4, 17, 14], {}),
        ([-3, -2, 9, 8], {"margin": (2, 3)}),
        ([14, 9, 26, 19], {"margin": (2, 3), "border": "reflect"}),
    ):
        windows = Windows(torch.tensor([box]).float(), (10, 12), scaled=False, **how)
        expected = np.asarray(cut_picture(picture, windows))
        assert np.array_equal(cut_one(pixels, windows), expected)
        assert np.array_equal(np.asarray(cut_fast(picture, windows)), expected)


@pytest.mark.parametrize("size", SIZES)
def test_a_cubic_batch_is_rounded_and_clipped_between_the_passes(images, size) -> None:
    """As Pillow does it when it is asked for one pass after the other."""
    windows = Windows(torch.tensor(BOXES).float(), size, scaled=True, interpolation="bicubic")
    for image, box, result in zip(images, BOXES, cut(images, windows), strict=True):
        lines = to_picture(image).crop(box).resize((size[1], box[3] - box[1]), BICUBIC)
        expected = from_picture(lines.resize((size[1], size[0]), BICUBIC))
        assert (expected.int() - result.int()).abs().max() <= 1


@pytest.mark.parametrize("how", MODES)
@pytest.mark.parametrize("size", [(9, 30), (40, 7)])
def test_float_batches_agree_with_torchvision_antialias(images, size, how) -> None:
    floats = images.float() / 255
    ours = cut(floats, Windows(whole((17, 23)), size, scaled=True, interpolation=how))
    theirs = oracle.resize(floats, list(size), interpolation=MODES[how], antialias=True)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-6)


@pytest.mark.parametrize("border", ["zero", "reflect"])
def test_crops_beyond_the_border(images, border) -> None:
    boxes = torch.tensor([[-3, -2, 9, 8], [0, 0, 12, 10], [14, 9, 26, 19], [5, -1, 17, 9]]).float()
    windows = Windows(boxes, (10, 12), scaled=False, margin=(2, 3), border=border)
    mode = "constant" if border == "zero" else "reflect"
    for index, result in enumerate(cut(images, windows)):
        padded = np.pad(images[index].numpy(), ((0, 0), (2, 2), (3, 3)), mode=mode)
        left, top = int(boxes[index, 0]) + 3, int(boxes[index, 1]) + 2
        expected = padded[:, top : top + 10, left : left + 12]
        assert np.array_equal(result.numpy(), expected)
        one = Windows(boxes[index : index + 1], (10, 12), False, margin=(2, 3), border=border)
        assert np.array_equal(from_picture(cut_picture(to_picture(images[index]), one)), expected)


def test_a_window_of_a_reduced_image() -> None:
    windows = Windows(torch.tensor([[10.0, 20.0, 90.0, 100.0]]), (20, 40), scaled=True)
    assert reduction_factor(windows) == 2.0  # 80 / 40 across, 80 / 20 down
    half = shrunk(windows, original=(101, 99), actual=(51, 50))
    assert half.boxes.tolist() == [[5.0, 10.0, 45.0, 50.0]]
    assert shrunk(windows, original=(5, 5), actual=(5, 5)) is windows


def test_grey_pictures_are_cut_too() -> None:
    picture = Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5))
    windows = Windows(torch.tensor([[1.0, 1.0, 3.0, 4.0]]), (3, 2), scaled=False)
    assert np.asarray(cut_picture(picture, windows)).tolist() == [[6, 7], [11, 12], [16, 17]]
