"""What each of several processes reads, put together again: what one process reads, bit for bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from cnntrain.data.batch import Batch, Batching, Loader
from cnntrain.data.loaders import open_data
from cnntrain.data.metadata import Holdout
from cnntrain.data.mixing import MixedLoader, reach
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.resident import ResidentLoader
from cnntrain.data.share import WHOLE, ShareOfBatch
from cnntrain.data.splits import Pixels
from cnntrain.data.stream import StreamLoader

COUNT, SIZE = 43, 10
"""Images and the batch: the last one has 3, too few for four processes."""

LISTS = {
    "nothing random": [],
    "drawn for the batch": ["random_crop", "horizontal_flip", "color_jitter", "random_erasing"],
    "drawn image after image": ["horizontal_flip", "rand_augment", "noise"],
    "by turns": ["random_crop", "alternate", "noise"],
    "by turns, image after image": ["alternate", "rand_augment"],
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "alternate": {"name": "horizontal_flip", "alternate": True},
    "random_crop": {"size": 6, "padding": 1},
    "color_jitter": {"brightness": 0.5},
    "noise": {"std": 0.1},
}


def pixels() -> Pixels:
    generator = torch.Generator().manual_seed(5)
    images = torch.randint(0, 256, (COUNT, 3, 8, 8), generator=generator, dtype=torch.uint8)
    return Pixels(images, torch.randint(0, 4, (COUNT,), generator=generator))


def resident(names: list[str], how: Batching) -> Loader:
    pipeline = build_pipeline([{"name": each, **PARAMETERS.get(each, {})} for each in names])
    return ResidentLoader(pixels(), pipeline=pipeline, batching=how)


def stream(names: list[str], how: Batching) -> Loader:
    pipeline = build_pipeline([{"name": each, **PARAMETERS.get(each, {})} for each in names])
    return StreamLoader(pixels(), name="train", pipeline=pipeline, batching=how)


def together(make: Callable[[ShareOfBatch], Loader], count: int, *, start: int = 0) -> list[Batch]:
    """The batches of all processes, put together; stand-ins are left out."""
    loaders = [make(replace(WHOLE, index=index, count=count)) for index in range(count)]
    found = []
    parts = zip(*(loader.batches(3, start=start) for loader in loaders), strict=True)
    for number, slices in enumerate(parts, start):
        images = loaders[0].images_in(number)
        own = [
            part for index, part in enumerate(slices) if ShareOfBatch(index, count).counted(images)
        ]
        found.append(Batch(*(torch.cat(each) for each in zip(*own, strict=True))))
    return found


def same(ours: list[Batch], theirs: list[Batch]) -> bool:
    pairs = list(zip(ours, theirs, strict=True))
    return all(torch.equal(a, b) for pair in pairs for a, b in zip(*pair, strict=True))


@pytest.mark.parametrize("names", LISTS.values(), ids=LISTS)
@pytest.mark.parametrize("kind", [resident, stream])
def test_the_slices_are_the_batches_of_one_process(
    kind: Callable[[list[str], Batching], Loader], names: list[str]
) -> None:
    how = Batching(SIZE, shuffle=True, seed=7)
    alone = list(kind(names, how).batches(3))
    for count in (2, 3, 4):
        assert same(together(lambda share: kind(names, replace(how, share=share)), count), alone)
    assert same(
        together(lambda share: kind(names, replace(how, share=share)), 2, start=3), alone[3:]
    )


@pytest.mark.parametrize("mixing", ["mixup", "cutmix"])
def test_mixed_images_are_those_of_one_process(mixing: str) -> None:
    mixings = build_pipeline([{"name": mixing}]).mixings
    assert reach(mixings) == 1

    def make(share: ShareOfBatch, *, before: int | None = 1) -> Loader:
        share = replace(share, before=before)
        how = Batching(SIZE, shuffle=True, seed=7, share=share)
        inner = resident(LISTS["drawn for the batch"], how)
        return MixedLoader(inner, mixings=mixings, num_classes=4, seed=7, share=share)

    alone = list(make(WHOLE).batches(3))
    assert alone[0].targets.ndim == 2
    for count in (2, 3, 4):
        assert same(together(make, count), alone)
        assert same(together(lambda share: make(share, before=None), count), alone)


def test_a_mixing_that_does_not_say_how_far_it_reaches_gets_whole_batches() -> None:
    class Foreign:
        probability = 1.0

        def mix(self, images: Tensor, shares: Tensor, random: object) -> tuple[Tensor, Tensor]:
            return images.mean(dim=0, keepdim=True).expand_as(images), shares

    assert reach([Foreign()]) is None
    assert reach([]) == 0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_slices_are_torchs_chunks(count: int) -> None:
    for images in range(1, 23):
        chunks = [each.tolist() for each in torch.arange(images).chunk(count)]
        shares = [ShareOfBatch(index, count) for index in range(count)]
        assert [
            list(range(*share.bounds(images))) for share in shares if share.counted(images)
        ] == (chunks)
        assert all(share.rows(images) for share in shares), "each has some image"


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("start", [0, 1, 4])
def test_whole_batches_in_turns_leave_none_out(count: int, start: int) -> None:
    shares = [ShareOfBatch(index, count, in_turns=True) for index in range(count)]
    for batches in range(1, 9):
        if start < batches:
            taken = [n for share in shares for n in share.numbers(batches, start=start)]
            own = [n for n in taken if start == 0 or n >= start]
            expected = set(range(start, batches))
            assert set(own) == expected
            idle = [share for share in shares if not share.has_turn(batches)]
            assert start or len(own) == batches + len(idle), "each batch once, and the stand-ins"


def test_evaluation_reads_each_image_once() -> None:
    found = []
    wanted: dict[str, Any] = {"batch_size": 50, "eval_batch_size": 64, "holdout": Holdout(0.2)}
    for index in range(2):
        data = open_data("digits", **wanted, share=ShareOfBatch(index, 2))
        assert data.validation is not None
        found += [batch.targets for batch in data.validation.batches(0)]
        assert data.train.images_in(0) == 50
    alone = open_data("digits", **wanted)
    assert alone.validation is not None
    whole = [batch.targets for batch in alone.validation.batches(0)]
    assert sorted(map(len, found)) == sorted(map(len, whole))
    assert torch.equal(torch.cat(found).bincount(), torch.cat(whole).bincount())
