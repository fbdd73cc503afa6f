"""The loader from memory: order, resuming, formats."""

import pytest
import torch

from cnntrain.core.errors import DataError
from cnntrain.data.batch import Batching
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.read import open_splits
from cnntrain.data.resident import ResidentLoader, read_pixels
from cnntrain.data.splits import Pixels
from cnntrain.data.stream import StreamLoader

AUGMENT = [
    {"name": "random_crop", "size": [6, 7], "padding": 2},
    {"name": "horizontal_flip"},
    {"name": "noise"},
]


@pytest.fixture
def pixels() -> Pixels:
    """Image number n is filled with the value n."""
    targets = torch.arange(23)
    images = targets.to(torch.uint8)[:, None, None, None].expand(23, 3, 6, 7).contiguous()
    return Pixels(images, targets)


def loader(pixels: Pixels, items=(), **how) -> ResidentLoader:
    return ResidentLoader(
        pixels, pipeline=build_pipeline(items), batching=Batching(**{"batch_size": 5, **how})
    )


def order(made: ResidentLoader, epoch: int, start: int = 0) -> list[int]:
    return [t for batch in made.batches(epoch, start=start) for t in batch.targets.tolist()]


def test_stored_order_has_every_image_once(pixels) -> None:
    made = loader(pixels)
    assert (made.size, made.batches_per_epoch) == (23, 5)
    assert order(made, 1) == list(range(23))
    for batch in made.batches(3):
        assert torch.equal((batch.images * 255).round()[:, 0, 0, 0].long(), batch.targets)
        assert (batch.images.dtype, batch.targets.dtype) == (torch.float32, torch.int64)


def test_each_epoch_has_its_own_order_of_all_images(pixels) -> None:
    made = loader(pixels, shuffle=True)
    first, second = order(made, 1), order(made, 2)
    assert sorted(first) == sorted(second) == list(range(23))
    assert first != second
    assert order(loader(pixels, shuffle=True), 1) == first
    assert order(loader(pixels, shuffle=True, seed=1), 1) != first


@pytest.mark.parametrize("kind", ["resident", "stream", "image by image"])
def test_every_second_epoch_shows_the_other_side_of_an_image(pixels, kind: str) -> None:
    ramp = torch.arange(7, dtype=torch.uint8).expand(23, 3, 6, 7).contiguous()
    part = Pixels(ramp, pixels.targets)
    items = [{"name": "horizontal_flip", "alternate": True}]
    items += [{"name": "trivial_augment"}] if kind == "image by image" else []
    how = Batching(5, shuffle=True)
    if kind == "resident":
        made = loader(part, items, shuffle=True)
    else:
        made = StreamLoader(part, name="train", pipeline=build_pipeline(items), batching=how)

    def mirrored(epoch: int) -> dict[int, bool]:
        batches = made.batches(epoch)
        rising = [(b.targets.tolist(), (b.images[:, 0, 0, 0] > 0).tolist()) for b in batches]
        return {t: r for targets, rows in rising for t, r in zip(targets, rows, strict=True)}

    first, second, third = (mirrored(epoch) for epoch in (1, 2, 3))
    if kind != "image by image":  # whose further transform changes pixels
        assert first == third
        assert all(first[number] != second[number] for number in range(23))
        assert 4 < sum(first.values()) < 19
    else:
        assert len(first) == 23


def test_drop_last(pixels) -> None:
    made = loader(pixels, shuffle=True, drop_last=True)
    assert made.batches_per_epoch == 4
    assert [len(batch.targets) for batch in made.batches(1)] == [5] * 4


@pytest.mark.parametrize("start", [0, 1, 4, 5])
def test_starting_in_the_middle_gives_the_same_batches(pixels, start: int) -> None:
    whole = list(loader(pixels, AUGMENT, shuffle=True).batches(4))
    rest = list(loader(pixels, AUGMENT, shuffle=True).batches(4, start=start))
    assert len(rest) == 5 - start
    for ours, theirs in zip(rest, whole[start:], strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.targets, theirs.targets)


def test_epochs_and_batches_are_augmented_differently(pixels) -> None:
    """All images are one grey, far from 0 and 1, so batches differ by their noise alone."""
    made = loader(Pixels(torch.full_like(pixels.images, 128), pixels.targets), [{"name": "noise"}])
    batches = [batch.images for epoch in (1, 2) for batch in made.batches(epoch)]
    assert len({tuple(images[:3].flatten().tolist()) for images in batches}) == 10


@pytest.mark.parametrize("items", [[], AUGMENT])
def test_memory_format(pixels, items) -> None:
    plain = list(loader(pixels, items, shuffle=True).batches(1))
    last = list(loader(pixels, items, shuffle=True, channels_last=True).batches(1))
    for a, b in zip(plain, last, strict=True):
        assert a.images.is_contiguous()
        assert b.images.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(a.images, b.images)


def test_kept_batches_stay_what_they_were(pixels) -> None:
    """No buffer is reused under the user's hands."""
    made = loader(pixels)
    batches = list(made.batches(1))
    for kept, fresh in zip(batches, made.batches(1), strict=True):
        assert torch.equal(kept.images, fresh.images)


def test_global_random_numbers_are_left_alone(pixels) -> None:
    before = torch.random.get_rng_state()
    list(loader(pixels, AUGMENT, shuffle=True).batches(1))
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_pixels_are_sized_as_files_would_be(channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (3, channels, 9, 12), dtype=torch.uint8, generator=generator)
    part = Pixels(images, torch.zeros(3, dtype=torch.int64))
    head = build_pipeline([{"name": "resize", "size": 6}, {"name": "center_crop", "size": 6}])
    sized = read_pixels(part, head, name="train").images
    assert sized.shape == (3, channels, 6, 6)
    batched = head(images, generator) * 255
    assert (sized - batched).abs().max() <= 2  # Pillow rounds between its passes
    assert read_pixels(part, build_pipeline([{"name": "resize", "size": 9}]), name="x") is part


def test_files_of_different_sizes_are_named(make_folder) -> None:
    root = make_folder({"train/a": 2, "train/b": 1}, grow=1)
    part = open_splits("image_folder", parameters={"root": str(root)}).train
    with pytest.raises(DataError, match=r"00\.png is 8 x 10, .*01\.png is 9 x 12; add `resize"):
        read_pixels(part, build_pipeline([]), name="train")
