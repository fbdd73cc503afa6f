"""Each transform against torchvision's v2 functions, or against its formula written again."""

import numpy as np
import pytest
import torch
import torchvision.transforms.v2.functional as oracle
from torchvision.transforms import InterpolationMode

from cnntrain.data.transform_parts import Showing, per_image
from cnntrain.data.transforms.affine import Affine, warp
from cnntrain.data.transforms.center_crop import CenterCrop
from cnntrain.data.transforms.color_jitter import (
    ColorJitter,
    adjust_brightness,
    adjust_contrast,
    adjust_hue,
    adjust_saturation,
)
from cnntrain.data.transforms.horizontal_flip import HorizontalFlip
from cnntrain.data.transforms.noise import Noise
from cnntrain.data.transforms.normalize import Normalize
from cnntrain.data.transforms.pca_lighting import VALUES, VECTORS, PcaLighting, lighting
from cnntrain.data.transforms.random_crop import RandomCrop
from cnntrain.data.transforms.random_erasing import RandomErasing
from cnntrain.data.transforms.random_resized_crop import RandomResizedCrop
from cnntrain.data.transforms.resize import Resize


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@pytest.fixture
def images(generator: torch.Generator) -> torch.Tensor:
    return torch.randint(0, 256, (6, 3, 15, 20), dtype=torch.uint8, generator=generator)


@pytest.mark.parametrize("size", [(10, 10), (100, 150), (150, 100), (37, 91), (3, 200)])
def test_resize_of_the_shorter_side(size) -> None:
    given = torch.zeros(1, 3, *size, dtype=torch.uint8)
    assert Resize(size=24).output_size(size) == tuple(oracle.resize(given, [24]).shape[2:])


@pytest.mark.parametrize("size", [(15, 20), (14, 19), (4, 7), (15, 6)])
def test_center_crop(images, size, generator) -> None:
    ours = CenterCrop(size=size)(images, generator)
    assert torch.equal(ours, oracle.center_crop(images, list(size)))


@pytest.mark.parametrize(
    ("transform", "text"),
    [
        (CenterCrop(size=(16, 8)), "a crop of 16 x 8 is larger than the image of 15 x 20"),
        (RandomCrop(size=32, padding=4), r"32 x 32 .* 15 x 20 with its padding \(23 x 28\)"),
        (RandomCrop(size=4, padding=15, border="reflect"), "needs an image larger than that"),
    ],
)
def test_crops_larger_than_the_image_name_both(transform, text) -> None:
    with pytest.raises(ValueError, match=text):
        transform.output_size((15, 20))


def test_random_crop_reaches_every_place_equally(generator) -> None:
    windows = RandomCrop(size=32, padding=4).windows((32, 32), count=8100, generator=generator)
    places, counts = windows.boxes[:, :2].unique(dim=0, return_counts=True)
    assert len(places) == 81  # 9 x 9 offsets
    assert places.min() == -4
    assert places.max() == 4
    # 100 expected a place; 5 standard deviations of Binomial(8100, 1/81) are 50
    assert (counts - 100).abs().max() < 50


def test_random_resized_crop_draws_what_the_paper_says(generator) -> None:
    windows = RandomResizedCrop(size=8).windows((120, 200), count=5000, generator=generator)
    left, top, right, bottom = windows.boxes.unbind(1)
    assert (left.min(), top.min()) >= (0, 0)
    assert right.max() <= 200
    assert bottom.max() <= 120
    width, height = right - left, bottom - top
    ratio, share = width / height, width * height / (120 * 200)
    assert 0.72 < ratio.min() < ratio.max() < 1.39  # 3/4 to 4/3, but whole pixels
    assert 0.075 < share.min() < 0.1
    assert share.max() < 1
    # where every draw fits, area is uniform and log ratio symmetric
    small = RandomResizedCrop(size=8, scale=(0.1, 0.5)).windows(
        (300, 300), count=20000, generator=generator
    )
    left, top, right, bottom = small.boxes.unbind(1)
    share = (right - left) * (bottom - top) / 90000
    assert abs(share.mean() - 0.3) < 0.005
    assert abs(torch.log((right - left) / (bottom - top)).mean()) < 0.01


def test_a_single_window_is_drawn_as_one_of_many() -> None:
    """In plain numbers: the first of ten tries that fits, written out again for all ten at once."""
    transform, rows, columns = RandomResizedCrop(size=8, scale=(0.3, 1.0)), 150, 200
    shares = []
    for seed in range(1000):
        box = transform.windows(
            (rows, columns), count=1, generator=torch.Generator().manual_seed(seed)
        ).boxes[0]
        drawn = torch.rand(4, 10, generator=torch.Generator().manual_seed(seed)).double()
        area = rows * columns * (0.3 + 0.7 * drawn[0])
        ratio = (3 / 4) ** (1 - 2 * drawn[1])
        width, height = (area * ratio).sqrt().round(), (area / ratio).sqrt().round()
        fits = ((width <= columns) & (height <= rows)).tolist()
        shares.append(float((box[2] - box[0]) * (box[3] - box[1]) / (rows * columns)))
        if any(fits):
            n = fits.index(True)
            left = (drawn[3] * (columns - width + 1)).floor()[n]
            top = (drawn[2] * (rows - height + 1)).floor()[n]
            assert box.tolist() == [left, top, left + width[n], top + height[n]]
        else:
            assert box.tolist() == [0, 0, 200, 150]
    # one of many images of the same size has the same distribution
    many = transform.windows(
        (rows, columns), count=20000, generator=torch.Generator().manual_seed(0)
    ).boxes
    left, top, right, bottom = many.unbind(1)
    expected = ((right - left) * (bottom - top) / (rows * columns)).mean()
    assert abs(sum(shares) / 1000 - float(expected)) < 0.03  # 5 deviations of the mean of 1000


def test_random_resized_crop_reaches_every_place_equally(generator) -> None:
    """A quarter of 4 x 4 pixels, square, is 2 x 2: it fits in 9 places."""
    transform = RandomResizedCrop(size=8, scale=(0.25, 0.25), ratio=(1.0, 1.0))
    windows = transform.windows((4, 4), count=900, generator=generator)
    places, counts = windows.boxes.unique(dim=0, return_counts=True)
    assert places.tolist() == [[x, y, x + 2, y + 2] for x in range(3) for y in range(3)]
    # 100 expected a place; 5 standard deviations of Binomial(900, 1/9) are 47
    assert (counts - 100).abs().max() < 47


@pytest.mark.parametrize(
    ("size", "box"), [((10, 400), [193, 0, 206, 10]), ((400, 9), [0, 194, 9, 206])]
)
def test_random_resized_crop_falls_back_to_the_middle(size, box, generator) -> None:
    transform = RandomResizedCrop(size=8, scale=(0.9, 1.0))
    windows = transform.windows(size, count=3, generator=generator)
    assert windows.boxes.tolist() == [box] * 3  # torchvision: ratio 4/3 or 3/4, centred


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("side", [9, 90])
def test_large_and_small_images_are_mirrored_and_normalized_alike(generator, layout, side) -> None:
    """On a CPU large ones go one by one, and a few at a time; in either order of memory."""
    random = torch.randint(0, 256, (33, 3, side, side + 1), dtype=torch.uint8, generator=generator)
    images, before = random.contiguous(memory_format=layout), random.clone()
    flipped = HorizontalFlip()(images, torch.Generator().manual_seed(1))
    picked = torch.rand(33, 1, 1, 1, generator=torch.Generator().manual_seed(1)) < 0.5
    assert torch.equal(flipped, torch.where(picked, before.flip(3), before))
    assert torch.equal(images, before), "the images that were given stay as they were"
    assert flipped.is_contiguous(memory_format=layout)
    mean, std = (0.4, 0.5, 0.6), (0.2, 0.25, 0.3)
    result = Normalize(mean=mean, std=std)(flipped, generator)
    expected = oracle.normalize(flipped.double() / 255, list(mean), list(std))
    torch.testing.assert_close(result.double(), expected, rtol=0, atol=1e-6)
    assert result.is_contiguous(memory_format=layout)


def test_horizontal_flip(images, generator) -> None:
    assert torch.equal(HorizontalFlip(probability=0.0)(images, generator), images)
    assert torch.equal(
        HorizontalFlip(probability=1.0)(images, generator), oracle.horizontal_flip(images)
    )
    many = images[:1].expand(4000, -1, -1, -1)
    flipped = (HorizontalFlip()(many, generator) != many).flatten(1).any(1).sum()
    assert abs(int(flipped) - 2000) < 160  # 5 standard deviations


def test_alternate_flips_show_both_sides_of_every_image_in_two_epochs(images, generator) -> None:
    flip, positions = HorizontalFlip(alternate=True), torch.tensor([3, 0, 3000, 70_000, 9, 9])
    seen = [flip.shown(images, Showing(positions, epoch=epoch, seed=1)) for epoch in (1, 2, 3)]
    assert torch.equal(seen[0], seen[2])
    for first, second in zip(*seen[:2], strict=True):
        assert torch.equal(first, second.flip(2))
    assert torch.equal(seen[0][4], images[4]) == torch.equal(seen[0][5], images[5])
    for image, given in zip(seen[0], images, strict=True):
        assert torch.equal(image, given) or torch.equal(image, oracle.horizontal_flip(given))


@pytest.mark.parametrize("seed", [0, 1])
def test_alternate_flips_begin_with_half_of_the_images_which_the_seed_chooses(seed) -> None:
    many = torch.tensor([[[[0, 1]]]], dtype=torch.uint8).expand(4000, -1, -1, -1)

    def flipped(seed: int) -> torch.Tensor:
        shown = Showing(torch.arange(4000), epoch=1, seed=seed)
        return HorizontalFlip(alternate=True).shown(many, shown)[:, 0, 0, 0] == 1

    assert abs(int(flipped(seed).sum()) - 2000) < 160  # 5 standard deviations
    assert abs(int((flipped(seed) != flipped(seed + 1)).sum()) - 2000) < 160
    # neighbours are as good as independent
    assert abs(int((flipped(seed)[1:] != flipped(seed)[:-1]).sum()) - 2000) < 160


def test_alternate_flips_have_no_probability_of_their_own() -> None:
    with pytest.raises(ValueError, match=r"probability 0.3 would have no effect; remove one"):
        HorizontalFlip(alternate=True, probability=0.3)


@pytest.mark.parametrize("numbers", [
    (0.0, (0.0, 0.0), 1.0, (0.0, 0.0)), (30.0, (0.0, 0.0), 1.0, (0.0, 0.0)),
    (0.0, (3.0, -2.0), 1.0, (0.0, 0.0)), (0.0, (0.0, 0.0), 0.7, (0.0, 0.0)),
    (0.0, (0.0, 0.0), 1.0, (15.0, -8.0)), (-20.0, (1.0, 2.0), 1.3, (5.0, 9.0)),
])  # fmt: skip
def test_affine_is_torchvisions(images, numbers) -> None:
    angle, shift, factor, shear = numbers
    pixels = images.float() / 255
    ours = warp(
        pixels,
        angle=torch.full((6,), angle),
        shift=torch.tensor([shift] * 6),
        factor=torch.full((6,), factor),
        shear=torch.tensor([shear] * 6),
    )
    theirs = oracle.affine(
        pixels, angle, list(shift), factor, list(shear), interpolation=InterpolationMode.BILINEAR
    )
    torch.testing.assert_close(ours, theirs, rtol=0, atol=2e-5)


def test_affine_of_nothing_changes_nothing(images, generator) -> None:
    assert torch.equal(Affine()(images, generator), images)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (adjust_brightness, oracle.adjust_brightness),
        (adjust_contrast, oracle.adjust_contrast),
        (adjust_saturation, oracle.adjust_saturation),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.6, 1.0, 1.7])
def test_color_factors_are_torchvisions(images, ours, theirs, factor) -> None:
    pixels = images.float() / 255
    result = ours(pixels, per_image(torch.full((6,), factor)))
    torch.testing.assert_close(result, theirs(pixels, factor), rtol=0, atol=2e-6)


@pytest.mark.parametrize("shift", [-0.5, -0.1, 0.0, 0.25])
def test_hue_is_torchvisions(images, shift) -> None:
    pixels = images.float() / 255
    pixels[0] = 0.5  # grey has no hue
    result = adjust_hue(pixels, per_image(torch.full((6,), shift)))
    torch.testing.assert_close(result, oracle.adjust_hue(pixels, shift), rtol=0, atol=1e-5)


def test_color_jitter_of_grey_images_is_refused_where_it_means_nothing(generator) -> None:
    grey = torch.full((2, 1, 4, 4), 100, dtype=torch.uint8)
    assert ColorJitter(brightness=0.5)(grey, generator).shape == grey.shape
    for transform in (ColorJitter(saturation=0.1), ColorJitter(hue=0.1), PcaLighting()):
        with pytest.raises(ValueError, match=r"RGB images, not 1 channel"):
            transform(grey, generator)


def test_noise_has_its_standard_deviation(generator) -> None:
    grey = torch.full((100, 1, 32, 32), 0.5)
    drawn = Noise(std=0.05)(grey, generator) - 0.5
    assert abs(drawn.std() - 0.05) < 0.001
    assert abs(drawn.mean()) < 0.001
    wide = Noise(std=2.0)(grey, generator)
    assert (wide.min(), wide.max()) == (0, 1)


def test_pca_lighting_adds_the_principal_colours(images, generator) -> None:
    alphas = torch.tensor([[0.1, -0.2, 0.3]])
    expected = np.array(VECTORS) @ (np.array(VALUES) * [0.1, -0.2, 0.3])  # section 4.1
    np.testing.assert_allclose(lighting(alphas)[0], expected, rtol=1e-5)
    # principal components are orthogonal and of length one
    np.testing.assert_allclose(np.array(VECTORS).T @ np.array(VECTORS), np.eye(3), atol=2e-3)
    added = PcaLighting()(images, generator) - images.float() / 255
    assert (added.amax((2, 3)) - added.amin((2, 3))).max() < 1e-6, "one colour an image"


def test_random_erasing_blanks_one_rectangle(generator) -> None:
    white = torch.full((400, 3, 40, 50), 255, dtype=torch.uint8)
    erased = RandomErasing(probability=0.5)(white, generator) == 0
    touched = erased.flatten(1).any(1)
    assert 150 < int(touched.sum()) < 250  # 5 standard deviations are 50
    for image in erased[touched]:
        assert torch.equal(image[0], image[2])
        rows, columns = image[0].any(1), image[0].any(0)
        assert int(image[0].sum()) == int(rows.sum() * columns.sum())  # a full rectangle
        height, width = int(rows.sum()), int(columns.sum())
        assert 0.015 < height * width / 2000 < 0.345
        assert 0.25 < height / width < 4.0  # 0.3 to 3.3, but whole pixels


def test_normalize_is_torchvisions(images, generator) -> None:
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    expected = oracle.normalize(images.float() / 255, list(mean), list(std))
    transform = Normalize(mean=mean, std=std)
    torch.testing.assert_close(transform(images, generator), expected, rtol=0, atol=1e-5)
    floats = transform(images.float() / 255, generator)
    torch.testing.assert_close(floats, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Normalize(mean=(0.5,)), "both mean and std"),
        (lambda: Normalize(mean=(0.5,), std=(0.0,)), "one flat colour"),
        (lambda: Normalize(mean=(0.5, 0.5), std=(0.2,)), "2 means and 1 stds"),
        (lambda: ColorJitter(), "at least one of"),
        (lambda: ColorJitter(hue=0.6), "at most 0.5"),
        (lambda: Affine(scale=(0.0, 1.0)), "scale must be positive"),
        (lambda: Affine(shear=90.0), "less than 90"),
        (lambda: Affine(translate=1.5), "at most 1"),
        (lambda: RandomResizedCrop(size=3, scale=(0.0, 1.0)), "between 0 and 1"),
        (lambda: RandomResizedCrop(size=3, ratio=(-1.0, 1.0)), "must be positive"),
        (lambda: RandomErasing(scale=(0.1, 1.0)), "between 0 and 1"),
        (lambda: RandomErasing(ratio=(0.0, 1.0)), "must be positive"),
    ],
)
def test_values_without_meaning_are_refused(make, text) -> None:
    with pytest.raises(ValueError, match=text):
        make()


def test_normalize_names_both_channel_counts(images, generator) -> None:
    with pytest.raises(ValueError, match=r"1 mean\(s\) for 3 channel"):
        Normalize(mean=(0.5,), std=(0.2,))(images, generator)
