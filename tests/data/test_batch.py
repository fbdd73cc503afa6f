"""Drawing images so that classes are equally frequent: expected counts follow from the words."""

from dataclasses import replace
from itertools import groupby

import pytest
import torch

from cnntrain.data.batch import Batching, balanced_order
from cnntrain.data.loaders import open_data
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.read import EmptyClassError
from cnntrain.data.resident import ResidentLoader
from cnntrain.data.share import ShareOfBatch
from cnntrain.data.splits import Files, Pixels
from cnntrain.data.stream import StreamLoader

TARGETS = torch.tensor([2] * 5 + [0] * 80 + [1] * 15)[torch.randperm(100)]


def drawn(epoch: int, targets: torch.Tensor = TARGETS, seed: int = 0) -> torch.Tensor:
    return balanced_order(targets, seed=seed, epoch=epoch)


def times(epoch: int) -> torch.Tensor:
    return torch.bincount(drawn(epoch), minlength=100)


def test_classes_are_equally_frequent_in_each_epoch() -> None:
    longer = set()
    for epoch in range(1, 30):
        counts = torch.bincount(TARGETS[drawn(epoch)]).tolist()
        assert sorted(counts) == [33, 33, 34]
        longer.add(counts.index(34))
    assert longer == {0, 1, 2}, "no class is the favoured one"


def test_images_repeat_only_where_a_class_is_too_small() -> None:
    counts = times(1)
    assert set(counts[TARGETS == 0].tolist()) == {0, 1}  # 80 images for 33 or 34 draws
    assert set(counts[TARGETS == 1].tolist()) == {2, 3}  # 15 images: 33 = 15 + 15 + 3
    assert set(counts[TARGETS == 2].tolist()) <= {6, 7}  # 5 images: 33 = 6 x 5 + 3


def test_every_image_of_a_class_is_equally_likely() -> None:
    epochs = 400
    total = sum(times(epoch) for epoch in range(epochs))
    for number, images in enumerate([80, 15, 5]):
        share = 100 / 3 / images
        found = total[number == TARGETS] / epochs
        # of a draw without replacement; at most that of a coin with the fraction of the share
        deviation = (share % 1 * (1 - share % 1) / epochs) ** 0.5
        assert (found - share).abs().max() < 5 * deviation


def test_order_is_mixed_and_follows_seed_and_epoch() -> None:
    assert torch.equal(drawn(3), drawn(3))
    assert not torch.equal(drawn(3), drawn(4))
    assert not torch.equal(drawn(3), drawn(3, seed=1))
    firsts = [TARGETS[drawn(epoch)[:3]].tolist() for epoch in range(50)]
    assert {tuple(sorted(first)) for first in firsts} > {(0, 1, 2), (0, 0, 1)}


def test_odd_sets() -> None:
    assert sorted(drawn(1, torch.tensor([1, 4, 4])).tolist()) in ([0, 0, 1], [0, 0, 2], [0, 1, 2])
    assert torch.equal(drawn(1, torch.tensor([0])), torch.tensor([0]))
    rare = torch.tensor([0] * 9999 + [1])
    assert int((drawn(1, rare) == 9999).sum()) == 5000


@pytest.fixture
def batching() -> Batching:
    return Batching(7, shuffle=True, seed=5, balanced=True)


def classes(loader: ResidentLoader | StreamLoader, epoch: int, start: int = 0) -> list[int]:
    return [t for batch in loader.batches(epoch, start=start) for t in batch.targets.tolist()]


def test_both_loaders_draw_so_and_resume(make_folder, batching) -> None:
    root = make_folder({"train/a": 11, "train/b": 3})
    paths = tuple(sorted(root.rglob("*.png")))
    files = Files(paths, torch.tensor([0] * 11 + [1] * 3), 3)
    pixels = Pixels(torch.zeros(14, 3, 8, 10, dtype=torch.uint8), files.targets)
    crop = build_pipeline([{"name": "random_crop", "size": 4}])
    stream = StreamLoader(files, name="train", pipeline=crop, batching=batching)
    resident = ResidentLoader(pixels, pipeline=crop, batching=batching)
    expected = files.targets[balanced_order(files.targets, seed=5, epoch=2)].tolist()
    assert expected.count(0) == expected.count(1) == 7
    for loader in (stream, resident):
        assert classes(loader, 2) == expected
        assert classes(loader, 2, start=1) == expected[7:]
        rest = next(loader.batches(2, start=1)).images
        assert torch.equal(rest, list(loader.batches(2))[1].images)


def test_an_image_that_comes_twice_is_cut_anew(make_folder, batching) -> None:
    """b's only image is drawn 7 times of 14: as many of 5 x 7 windows, hardly ever all the same."""
    root = make_folder({"train/a": 13, "train/b": 1})
    files = Files(tuple(sorted(root.rglob("*.png"))), torch.tensor([0] * 13 + [1]), 3)
    crop = build_pipeline([{"name": "random_crop", "size": 4}])
    loader = StreamLoader(files, name="train", pipeline=crop, batching=batching)
    images = torch.cat([batch.images[batch.targets == 1] for batch in loader.batches(1)])
    assert len(images) == 7
    assert len(images.unique(dim=0)) > 3


def test_images_of_a_class_come_in_runs() -> None:
    """Each once; of a class with 15 images 3 runs of 5, with 80 images 20 of 4, with 5 one of 5."""
    orders = {}
    for epoch, seed in ((1, 0), (1, 0), (2, 0), (1, 1)):
        how = Batching(16, shuffle=True, seed=seed, together=4)
        order = how.order(TARGETS, epoch=epoch)
        assert order is not None
        assert sorted(order.tolist()) == [*range(100)]
        lengths: dict[int, list[int]] = {0: [], 1: [], 2: []}
        for number, group in groupby(TARGETS[order].tolist()):
            lengths[number].append(len([*group]))
        assert set(lengths[1]) <= {5, 10, 15}  # runs of one class may follow each other
        assert lengths[2] == [5]
        assert all(length % 4 == 0 for length in lengths[0])
        orders.setdefault((epoch, seed), order)
        assert torch.equal(orders[epoch, seed], order)
    assert not torch.equal(orders[1, 0], orders[2, 0])
    assert not torch.equal(orders[1, 0], orders[1, 1])
    members = TARGETS[orders[1, 0]] == 0
    assert not torch.equal(orders[1, 0][members], orders[2, 0][TARGETS[orders[2, 0]] == 0])


def test_runs_are_the_same_in_both_loaders_and_for_processes(make_folder) -> None:
    root = make_folder({"train/a": 9, "train/b": 5})
    files = Files(tuple(sorted(root.rglob("*.png"))), torch.tensor([0] * 9 + [1] * 5), 3)
    pixels = Pixels(torch.zeros(14, 3, 8, 10, dtype=torch.uint8), files.targets)
    how = Batching(4, shuffle=True, seed=5, together=2)
    none = build_pipeline([])
    order = how.order(files.targets, epoch=3)
    assert order is not None
    expected = files.targets[order].tolist()
    for loader in (StreamLoader(files, name="train", pipeline=none, batching=how),
                   StreamLoader(files, name="train", pipeline=none, batching=how, workers=1),
                   ResidentLoader(pixels, pipeline=none, batching=how)):  # fmt: skip
        assert classes(loader, 3) == expected
        assert classes(loader, 3, start=2) == expected[8:]
    parts = [ResidentLoader(pixels, pipeline=none,
                            batching=replace(how, share=ShareOfBatch(index, 2)))
             for index in (0, 1)]  # fmt: skip
    both = zip(*(loader.batches(3) for loader in parts), strict=True)
    assert [t for pair in both for share in pair for t in share.targets.tolist()] == expected


def test_an_empty_class_is_named() -> None:
    with pytest.raises(EmptyClassError, match="class 'class2' has no training image"):
        # 2 training images of classes 0 and 1
        open_data("synthetic", parameters={"classes": 3, "images": 2}, sampling="balanced")
