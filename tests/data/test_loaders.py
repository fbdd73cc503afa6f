"""Opening data: splits, sizes, memory, what is plain and what is refused."""

import json

import pytest
import torch

from cnntrain.core.errors import DataError
from cnntrain.data import splits
from cnntrain.data.batch import Loader
from cnntrain.data.loaders import open_data, worker_count
from cnntrain.data.metadata import Holdout
from cnntrain.data.pipeline import build_pipeline
from cnntrain.data.read import open_splits
from cnntrain.data.resident import ResidentLoader
from cnntrain.data.statistics import statistics
from cnntrain.data.stream import StreamLoader
from cnntrain.data.transform_errors import ListError

SMALL = {"size": 8, "classes": 4, "images": 40, "test_images": 8}
FOLDER = {"train/a": 4, "train/b": 2, "val/a": 1, "val/b": 1}
EVAL = [("resize", {"size": 8}), ("center_crop", {"size": 6}), ("normalize", {})]


def size(loader: Loader | None) -> tuple[int, ...]:
    assert loader is not None
    return tuple(next(iter(loader.batches(1))).images.shape[2:])


def test_splits_statistics_and_plain_pipelines() -> None:
    data = open_data("synthetic", parameters=SMALL, holdout=Holdout(0.25), eval_batch_size=3)
    assert data.classes == ("class0", "class1", "class2", "class3")
    assert data.counts == {
        # 2.5 images of each class: the first two classes give the images that rounding leaves over
        "train": (7, 7, 8, 8),
        "validation": (3, 3, 2, 2),
        "test": (2, 2, 2, 2),
    }
    assert data.validation is not None
    assert data.validation.batches_per_epoch == 4
    assert data.statistics is not None
    images = torch.cat([batch.images for batch in data.train.batches(1)])
    # mean 0 and std 1, because the numbers are those of the 30 training images alone
    torch.testing.assert_close(images.mean((0, 2, 3)), torch.zeros(3), rtol=0, atol=1e-5)
    torch.testing.assert_close(
        images.std((0, 2, 3), correction=0), torch.ones(3), rtol=0, atol=1e-5
    )
    (plain,) = data.eval_pipeline
    assert plain == {
        "name": "normalize",
        "mean": list(data.statistics.mean),
        "std": list(data.statistics.std),
    }


def test_a_pipeline_comes_back_from_json() -> None:
    data = open_data("synthetic", parameters=SMALL, eval_transforms=EVAL)
    rebuilt = build_pipeline(json.loads(json.dumps(data.eval_pipeline)))
    images = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    made = build_pipeline(data.eval_pipeline)
    assert torch.equal(rebuilt(images, torch.Generator()), made(images, torch.Generator()))
    assert [size(data.train), size(data.test)] == [(8, 8), (6, 6)]


def test_numbers_that_are_given_are_used() -> None:
    given = [("normalize", {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)})]
    data = open_data("synthetic", parameters=SMALL, train_transforms=given, eval_transforms=given)
    assert data.statistics is not None
    assert data.statistics.mean == (0.5, 0.5, 0.5)
    assert open_data("digits", train_transforms=[], eval_transforms=[]).statistics is None


def test_the_validation_split_follows_the_seed_only() -> None:
    def held(*, seed: int, **options) -> list[int]:
        data = open_data("digits", holdout=Holdout(0.1, seed=seed), seed=5, **options)
        assert data.validation is not None
        return [t for batch in data.validation.batches(1) for t in batch.targets.tolist()]

    assert held(seed=3) == held(seed=3, batch_size=7, eval_batch_size=64)
    assert held(seed=3) != held(seed=4)


def test_a_second_validation_split_is_refused(make_folder) -> None:
    with pytest.raises(ValueError, match=r"validation split of its own \(2 images\)"):
        open_data(
            "image_folder", parameters={"root": str(make_folder(FOLDER))}, holdout=Holdout(0.1)
        )


def test_small_folders_live_in_memory_unless_sizes_are_random(make_folder) -> None:
    parameters = {"root": str(make_folder(FOLDER, grow=1))}
    crop = [("random_resized_crop", {"size": 6}), ("normalize", {})]
    data = open_data(
        "image_folder", parameters=parameters, train_transforms=crop, eval_transforms=EVAL
    )
    assert isinstance(data.train, StreamLoader)
    assert isinstance(data.validation, ResidentLoader)
    shifted = [("resize", {"size": (8, 8)}), ("random_crop", {"size": 6}), ("normalize", {})]
    data = open_data(
        "image_folder", parameters=parameters, train_transforms=shifted, eval_transforms=EVAL
    )
    assert isinstance(data.train, ResidentLoader)
    assert size(data.train) == (6, 6)


def test_large_images_of_one_size_are_read_again_for_random_windows(make_folder) -> None:
    lists = {
        "train_transforms": [("random_resized_crop", {"size": 6}), ("normalize", {})],
        "eval_transforms": [("resize", {"size": 6}), ("center_crop", {"size": 6})],
    }
    for size, kind in (((20, 30), ResidentLoader), ((300, 300), StreamLoader)):
        root = make_folder({"train/a": 1, "train/b": 1}, size=size)
        data = open_data("image_folder", parameters={"root": str(root)}, workers=0, **lists)
        assert isinstance(data.train, kind)


def test_a_crop_that_does_not_fit_names_the_file(make_folder) -> None:
    root = make_folder({"train/a": 3, "train/b": 3}, size=(12, 12), grow=-1)
    crop = [("center_crop", {"size": 11})]
    with pytest.raises(
        ListError, match=r"01\.png: a crop of 11 x 11 is larger .* 11 x 10"
    ) as caught:
        open_data("image_folder", parameters={"root": str(root)},
                  train_transforms=crop, eval_transforms=crop)  # fmt: skip
    assert (caught.value.split, caught.value.position) == ("train", 0)


def test_headers_are_read_until_two_sizes_differ(make_folder, monkeypatch) -> None:
    """Where every size is another one, two are enough."""
    root = make_folder({"train/a": 9, "train/b": 9}, grow=1)
    read: list[str] = []
    size_in = splits.header_size
    monkeypatch.setattr(splits, "header_size", lambda path: read.append(path) or size_in(path))
    crop = [("random_resized_crop", {"size": 6}), ("normalize", {})]
    lists = {"train_transforms": crop, "eval_transforms": EVAL}
    data = open_data("image_folder", parameters={"root": str(root)}, workers=0, **lists)
    assert isinstance(data.train, StreamLoader)
    assert len(read) <= 5  # each of the two lists is tried on the first file


def test_memory_is_obeyed(make_folder) -> None:
    parameters = {"root": str(make_folder(FOLDER))}
    lists = {"train_transforms": EVAL, "eval_transforms": EVAL}
    seen = {}
    for memory, kind in (("resident", ResidentLoader), ("stream", StreamLoader)):
        data = open_data("image_folder", parameters=parameters, memory=memory, workers=0, **lists)
        assert isinstance(data.train, kind)
        assert isinstance(data.validation, kind)
        seen[memory] = torch.cat([batch.images for batch in data.validation.batches(1)])
    assert torch.equal(seen["resident"], seen["stream"])
    assert isinstance(open_data("synthetic", parameters=SMALL, memory="stream").train, StreamLoader)
    crop = [("random_resized_crop", {"size": 6})]
    uneven = {"root": str(make_folder({"train/a": 3, "train/b": 3}, grow=1))}
    with pytest.raises(DataError, match="not all of one size"):
        open_data("image_folder", parameters=uneven, memory="resident", train_transforms=crop,
                  eval_transforms=EVAL)  # fmt: skip


def test_streamed_pixels_are_the_resident_ones() -> None:
    lists = {"train_transforms": EVAL, "eval_transforms": EVAL}
    batches = {}
    for memory in ("resident", "stream"):
        data = open_data("synthetic", parameters=SMALL, memory=memory, workers=0, **lists)
        batches[memory] = list(data.train.batches(2))
    for a, b in zip(batches["resident"], batches["stream"], strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.targets, b.targets)


@pytest.mark.parametrize(
    ("lists", "split", "position", "text"),
    [
        ({"train_transforms": [("center_crop", {"size": 9})]}, "train", 0, "9 x 9 .* 8 x 8"),
        ({"eval_transforms": [("horizontal_flip", {})]}, "eval", 0, "is random"),
        ({"train_transforms": [("normalize", {}), ("noise", {})]}, "train", 1, "before normalize"),
        (
            {"eval_transforms": [("normalize", {"mean": (0.5,), "std": (0.5,)})]},
            "eval", 0, r"1 mean\(s\) for 3 channel",
        ),
    ],
)  # fmt: skip
def test_lists_that_cannot_be_obeyed(lists, split, position, text) -> None:
    with pytest.raises(ListError, match=text) as caught:
        open_data("synthetic", parameters=SMALL, **lists)
    assert (caught.value.split, caught.value.position) == (split, position)


def test_colour_on_grey_images_is_an_error_not_nothing() -> None:
    with pytest.raises(ListError, match="pca_lighting needs RGB"):
        open_data("digits", train_transforms=[("pca_lighting", {}), ("normalize", {})])


def test_drop_last_must_leave_a_batch() -> None:
    with pytest.raises(ValueError, match="40 training images are fewer than batch_size 64"):
        open_data("synthetic", parameters=SMALL, drop_last=True)


def test_folder_statistics_are_of_the_training_images(make_folder) -> None:
    root = make_folder(FOLDER)
    data = open_data("image_folder", parameters={"root": str(root)})
    splits = open_splits("image_folder", parameters={"root": str(root)})
    assert data.statistics == statistics(splits.train)


def test_workers() -> None:
    assert worker_count(3, torch.device("cpu")) == 3
    assert worker_count("auto", torch.device("cuda")) >= 1
