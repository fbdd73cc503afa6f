"""Prediction sees what evaluation saw, bit for bit."""

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from cnntrain.data.crops import Views, make_views
from cnntrain.data.loaders import open_data
from cnntrain.data.metadata import Holdout
from cnntrain.data.read import open_splits
from cnntrain.data.splits import Files, Pixels

EVAL = [("resize", {"size": 9}), ("center_crop", {"size": (8, 7)}), ("normalize", {})]


def load_image(path: Path, views: Views, *, channels: int) -> Tensor:
    (pixels,) = views.read(Files((path,), torch.tensor([0]), channels), 0)
    assert pixels.dtype == torch.uint8
    return views.prepare(pixels[None])[0]


@pytest.mark.parametrize("memory", ["resident", "stream"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_files(make_folder, memory: str, channels: int, suffix: str) -> None:
    folders = {"train/a": 3, "train/b": 3, "test/a": 4, "test/b": 5}
    parameters = {
        "root": str(make_folder(folders, size=(20, 31), grow=5, suffix=suffix)),
        "channels": channels,
    }
    data = open_data("image_folder", parameters=parameters, train_transforms=EVAL,
                     eval_transforms=EVAL, batch_size=4, memory=memory, workers=0)  # fmt: skip
    test = open_splits("image_folder", parameters=parameters).test
    assert isinstance(test, Files)
    assert data.test is not None
    seen = torch.cat([batch.images for batch in data.test.batches(1)])
    views = make_views(data.eval_pipeline, crops="center")
    for path, image in zip(test.paths, seen, strict=True):
        assert torch.equal(load_image(path, views, channels=channels), image)


def test_images_exported_from_a_set_in_memory(tmp_path: Path) -> None:
    data = open_data("digits", eval_transforms=EVAL, holdout=Holdout(20))
    splits = open_splits("digits", parameters={}, holdout=Holdout(20))
    assert isinstance(splits.validation, Pixels)
    assert data.validation is not None
    seen = torch.cat([batch.images for batch in data.validation.batches(1)])
    views = make_views(data.eval_pipeline, crops="center")
    for number, pixels in enumerate(splits.validation.images):
        path = tmp_path / f"{number}.png"
        Image.fromarray(pixels[0].numpy()).save(path)
        assert torch.equal(load_image(path, views, channels=1), seen[number])
