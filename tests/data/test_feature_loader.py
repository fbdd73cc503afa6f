"""Features come as their images would: the oracle is the loader of the images themselves."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cnntrain.data.batch import Batching
from cnntrain.data.feature_loader import FeatureLoader
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.resident import ResidentLoader
from cnntrain.data.splits import Pixels
from cnntrain.data.stream import StreamLoader


def made_up(count: int) -> Pixels:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (count, 3, 4, 5), dtype=torch.uint8, generator=generator)
    return Pixels(images, torch.randint(0, 3, (count,), generator=generator))


def loader(pixels: Pixels, batching: Batching) -> ResidentLoader:
    return ResidentLoader(pixels, pipeline=build_pipeline([]), batching=batching)


def flat(images: Tensor) -> Tensor:
    return images.flatten(1)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_order_is_that_of_the_images(shuffle: bool, drop_last: bool, balanced: bool) -> None:
    pixels = made_up(23)
    how = Batching(8, shuffle=shuffle, drop_last=drop_last, seed=7, balanced=balanced)
    images = loader(pixels, how)
    features = FeatureLoader(loader(pixels, Batching(5)), compute=flat, batching=how)
    assert (features.size, features.batches_per_epoch) == (23, 2 if drop_last else 3)
    for epoch, start in ((1, 0), (2, 0), (2, 1)):
        expected = list(images.batches(epoch, start=start))
        found = list(features.batches(epoch, start=start))
        assert len(found) == len(expected)
        for ours, theirs in zip(found, expected, strict=True):
            assert torch.equal(ours.images, flat(theirs.images))
            assert torch.equal(ours.targets, theirs.targets)
    assert features.width == 60


def test_they_are_computed_once_and_the_workers_end() -> None:
    seen: list[int] = []

    def compute(images: Tensor) -> Tensor:
        seen.append(len(images))
        return flat(images)

    stream = StreamLoader(
        made_up(11), name="train", pipeline=build_pipeline([]), batching=Batching(4), workers=1
    )
    features = FeatureLoader(stream, compute=compute, batching=Batching(6, shuffle=True))
    told: list[int] = []
    features.fill(told.append)
    assert stream._loader._iterator is None
    for epoch in (1, 2):
        assert sum(len(batch.targets) for batch in features.batches(epoch)) == 11
    assert seen == told == [4, 4, 3]
