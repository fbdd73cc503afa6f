"""The streaming loader: independent of workers, errors that name files, workers that die."""

import multiprocessing
import os
import pickle
import signal
import threading
from dataclasses import dataclass

import pytest
import torch

from cnntrain.core.errors import DataError
from cnntrain.data import stream, watch
from cnntrain.data.batch import Batch, Batching
from cnntrain.data.decode import UnreadableImageError
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.read import open_splits
from cnntrain.data.splits import Files
from cnntrain.data.stream import StreamLoader
from cnntrain.data.transform_errors import TransformError
from cnntrain.data.transforms.rand_augment import RandAugment

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning"),  # Python 3.12 and later
    pytest.mark.filterwarnings("ignore:.*suggested max:UserWarning"),  # machines with one core
]

AUGMENT = [
    {"name": "random_resized_crop", "size": [6, 8], "scale": [0.3, 1.0]},
    {"name": "horizontal_flip"},
    {"name": "color_jitter", "brightness": 0.3},
]


@pytest.fixture
def files(make_folder) -> Files:
    root = make_folder({"train/a": 6, "train/b": 5}, grow=1)
    part = open_splits("image_folder", parameters={"root": str(root)}).train
    assert isinstance(part, Files)
    return part


def loader(part, items=AUGMENT, workers: int = 0, **how) -> StreamLoader:
    return StreamLoader(
        part,
        name="train",
        pipeline=build_pipeline(items),
        batching=Batching(**{"batch_size": 4, "shuffle": True, **how}),
        workers=workers,
    )


def same(ours: list[Batch], theirs: list[Batch]) -> bool:
    return len(ours) == len(theirs) and all(
        torch.equal(a.images, b.images) and torch.equal(a.targets, b.targets)
        for a, b in zip(ours, theirs, strict=True)
    )


def test_workers_make_no_difference(files) -> None:
    """The same batches with 0, 1 and 2 workers, in two epochs, and from the middle of one."""
    alone = loader(files)
    first, second = list(alone.batches(1)), list(alone.batches(2))
    assert not same(first, second)
    assert first[0].images.shape == (4, 3, 6, 8)
    assert sorted(t for b in first for t in b.targets.tolist()) == [0] * 6 + [1] * 5
    for workers in (1, 2):
        made = loader(files, workers=workers)
        assert same(list(made.batches(1)), first)
        assert same(list(made.batches(2, start=1)), second[1:])
        next(made.batches(1))  # an epoch that is left in the middle
        assert same(list(made.batches(2)), second)
        made.close()
        assert multiprocessing.active_children() == []
        assert same(list(made.batches(2)), second), "new workers, the same batches"
        made.close()


def test_what_works_image_by_image_is_done_in_the_workers(files, monkeypatch) -> None:
    """It and what stands before it; each image draws for itself, so batch sizes do not matter."""
    plain = [{"name": "resize", "size": [8, 8]}, {"name": "horizontal_flip"}]
    items = [*plain, {"name": "rand_augment", "num_ops": 3, "magnitude": 20}]
    expected = list(loader(files, items).batches(2))
    made = loader(files, items, workers=1)
    batches = made.batches(2)
    found = [next(batches)]  # the worker has begun
    monkeypatch.delattr(RandAugment, "__call__")
    found += batches
    made.close()
    monkeypatch.undo()
    assert same(found, expected)

    def images(items, size: int) -> torch.Tensor:
        return torch.cat(
            [batch.images for batch in loader(files, items, batch_size=size).batches(2)]
        )

    assert torch.equal(images(items, 3), images(items, 4))
    assert not torch.equal(images(items, 4), images(plain, 4))


def test_threads_make_no_difference(files, monkeypatch) -> None:
    """Where cores are free, images of a batch are read at once, and the next batch meanwhile."""
    monkeypatch.setattr(stream, "core_count", torch.get_num_threads)
    alone = loader(files, batch_size=11)
    expected = list(alone.batches(1))
    assert not alone._is_ahead
    monkeypatch.setattr(stream, "core_count", lambda: torch.get_num_threads() + 3)
    together, opened = threading.Barrier(3, timeout=30), Files.read

    def read(self: Files, index: int, reduction: object = None) -> object:
        if index < 3:
            together.wait()
        return opened(self, index, reduction)

    monkeypatch.setattr(Files, "read", read)
    helped = loader(files, batch_size=11)
    assert helped._is_ahead
    assert same(list(helped.batches(1)), expected)


def test_the_seed_decides(files) -> None:
    assert same(list(loader(files).batches(3)), list(loader(files).batches(3)))
    assert not same(list(loader(files).batches(3)), list(loader(files, seed=1).batches(3)))


def test_global_random_numbers_are_left_alone(files) -> None:
    before = torch.random.get_rng_state()
    list(loader(files).batches(1))
    assert torch.equal(before, torch.random.get_rng_state())


def test_drop_last_and_memory_format(files) -> None:
    made = loader(files, drop_last=True, channels_last=True)
    batches = list(made.batches(1))
    assert (made.size, made.batches_per_epoch, len(batches)) == (11, 2, 2)
    assert batches[0].images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("workers", [0, 1])
def test_an_unreadable_file_is_named(files, workers: int) -> None:
    files.paths[7].write_bytes(b"broken")
    made = loader(files, workers=workers)
    with pytest.raises(UnreadableImageError) as caught:
        list(made.batches(1))
    made.close()
    assert str(files.paths[7]) in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_a_crop_that_does_not_fit_names_the_file(files) -> None:
    with pytest.raises(TransformError, match=r"00\.png: a crop of 9 x 9 .* image of 8 x 10"):
        list(loader(files, [{"name": "center_crop", "size": 9}], shuffle=False).batches(1))


def test_images_of_different_sizes_are_named(files) -> None:
    with pytest.raises(DataError, match=r"00\.png is 8 x 10, .*01\.png is 9 x 12; add `resize"):
        list(loader(files, [], shuffle=False).batches(1))


@dataclass(frozen=True)
class Deadly:
    """A part whose images kill the process that reads them, or never come."""

    targets: torch.Tensor
    way: str

    def __len__(self) -> int:
        return len(self.targets)

    def label(self, index: int) -> str:
        return f"image {index}"

    def open(self, index: int, reduction: object = None) -> None:
        if self.way == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


@pytest.mark.parametrize("way", ["killed", "hangs"])
def test_dead_workers_are_told_with_what_helps(way: str, monkeypatch) -> None:
    monkeypatch.setattr(watch, "STUCK", 2)
    part = Deadly(torch.zeros(8, dtype=torch.int64), way)
    with pytest.raises(DataError, match="died or hang") as caught:
        list(loader(part, workers=1).batches(1))
    words = {
        "killed": ("data.workers", "now 1", "/dev/shm", "memory"),
        "hangs": ("done nothing for 2 s; check", "network share", "data check", "resume"),
    }
    for word in words[way]:
        assert word in str(caught.value)
    assert multiprocessing.active_children() == []


def test_what_workers_get_can_be_sent_to_any_process(files) -> None:
    dataset = loader(files)._loader.dataset
    again = pickle.loads(pickle.dumps(dataset))
    assert torch.equal(again[(1, 2, 3)][0], dataset[(1, 2, 3)][0])


def test_jpegs_are_reduced_for_training_only(make_folder) -> None:
    """A reduced image differs in single pixels; on the whole it is the same picture."""
    root = make_folder({"train/a": 3, "train/b": 3}, size=(64, 64), suffix=".jpg")
    part = open_splits("image_folder", parameters={"root": str(root)}).train
    items = [{"name": "resize", "size": [16, 16]}]
    exact = torch.cat([b.images for b in loader(part, items, shuffle=False).batches(1)])
    targets = torch.cat([b.targets for b in loader(part, items, shuffle=True).batches(1)])
    drafted = torch.cat([b.images for b in loader(part, items, shuffle=True).batches(1)])
    assert sorted(targets.tolist()) == [0, 0, 0, 1, 1, 1]
    means, expected = drafted.mean((2, 3)).sort(0).values, exact.mean((2, 3)).sort(0).values
    torch.testing.assert_close(means, expected, rtol=0, atol=0.01)
    assert not torch.equal(drafted.sort(0).values, exact.sort(0).values)
