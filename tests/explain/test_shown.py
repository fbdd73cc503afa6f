"""The images that a picture shows, from wherever they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cnntrain.core.errors import UsageError
from cnntrain.data.splits import to_picture
from cnntrain.explain.cam import cam
from cnntrain.explain.shown import show_images
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model


@pytest.fixture
def model(
    own_place: None, run_file: Callable[..., Path], train_tiny: Callable[..., Any], tmp_path: Path
) -> Model:
    return open_model(train_tiny(run_file({"train.epochs": 1}), out=tmp_path / "run").run.path)


def test_files_numbers_and_images_in_memory_in_the_order_asked_for(
    model: Model, tmp_path: Path
) -> None:
    data = find_images(model, split="test")
    pictures = [data.part.open(number) for number in range(3)]
    pictures[0].save(tmp_path / "first.png")
    array, tensor = np.array(pictures[1]), torch.tensor(np.array(pictures[2]))[None]
    assert to_picture(tensor) == pictures[2]
    file = str(tmp_path / "first.png")
    shown = show_images(model, ["2", array, file, tensor, pictures[0]], split="test")
    assert torch.equal(shown.images, data.at([2, 1, 0, 2, 0]))
    folder = tmp_path.name
    assert shown.labels == ("image 2", "image 1", f"{folder}/first.png", "image 3", "image 4")
    assert shown.names == (model.classes[data.targets[2]], None, None, None, None)


def test_a_picture_of_an_image_in_memory_is_that_of_its_file(model: Model, tmp_path: Path) -> None:
    picture = Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8) * 4)
    picture.save(tmp_path / "image.png")
    for_class: dict[str, Any] = {"model": model, "class_": "class1"}
    [by_file] = cam(images=[str(tmp_path / "image.png")], **for_class).facts["images"]
    [in_memory] = cam(images=[picture], **for_class).facts["images"]
    assert in_memory == {**by_file, "image": "image 0"}


def test_what_is_no_image_is_refused(model: Model) -> None:
    with pytest.raises(UsageError, match="a float is not an image"):
        show_images(model, [0.5])  # type: ignore[list-item]
    with pytest.raises(UsageError, match=r"is 1 x 9 x 8 after its transforms"):
        show_images(model, [np.zeros((9, 8), dtype=np.uint8)])
