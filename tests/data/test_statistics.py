"""Mean and std: compared with numpy's on the same pixels in float64."""

from pathlib import Path

import numpy as np
import pytest
import torch

from cnntrain.data.read import open_splits
from cnntrain.data.splits import Files, Pixels
from cnntrain.data.statistics import statistics


def test_pixels_agree_with_numpy() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (50, 3, 7, 5), dtype=torch.uint8, generator=generator)
    found = statistics(Pixels(images, torch.zeros(50, dtype=torch.int64)))
    expected = images.numpy().astype(np.float64) / 255
    np.testing.assert_allclose(found.mean, expected.mean(axis=(0, 2, 3)), rtol=1e-12)
    np.testing.assert_allclose(found.std, expected.std(axis=(0, 2, 3)), rtol=1e-12)


def test_one_flat_colour_has_no_spread() -> None:
    images = torch.full((4, 1, 3, 3), 51, dtype=torch.uint8)
    found = statistics(Pixels(images, torch.zeros(4, dtype=torch.int64)))
    assert found.mean == (0.2,)
    assert found.std == (0.0,)


@pytest.fixture
def files(make_folder) -> Files:
    root = make_folder({"train/a": 3, "train/b": 2}, grow=2)
    part = open_splits("image_folder", parameters={"root": str(root)}).train
    assert isinstance(part, Files)
    return part


def test_files_count_each_pixel_once_and_are_cached(files: Files, cache: Path) -> None:
    pixels = np.concatenate([np.asarray(files.open(i)).reshape(-1, 3) for i in range(len(files))])
    found = statistics(files)
    np.testing.assert_allclose(found.mean, (pixels / 255).mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.std, (pixels / 255).std(axis=0), rtol=1e-12)
    (kept,) = (cache / "statistics").iterdir()
    histogram = np.load(kept)["histogram"]
    histogram[0, 0] += 1_000_000
    np.savez(kept, histogram=histogram)
    assert statistics(files).mean[0] < found.mean[0], "the cache is used"


@pytest.mark.parametrize("rows", [None, np.ones((3, 1), np.int64), np.ones((3, 256)), np.int64(3)])
def test_a_corrupt_cache_is_computed_again(files: Files, cache: Path, rows: np.ndarray) -> None:
    expected = statistics(files)
    (kept,) = (cache / "statistics").iterdir()
    if rows is None:
        kept.write_text("")
    else:
        np.savez(kept, histogram=rows)
    assert statistics(files) == expected
    assert np.load(kept)["histogram"].shape == (3, 256)
