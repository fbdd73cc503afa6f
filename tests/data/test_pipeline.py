"""Pipelines: built from plain data, divided, planned."""

import pytest
import torch

from cnntrain.core.errors import ConfigError
from cnntrain.data.pipeline import build_eval_pipeline, build_pipeline, planned_size
from cnntrain.data.transform_errors import TransformError

RESIZE, CENTER = {"name": "resize", "size": 24}, {"name": "center_crop", "size": 20}
RANDOM = {"name": "random_crop", "size": 20}
FLIP = {"name": "horizontal_flip"}
NORMALIZE = {"name": "normalize", "mean": [0.5], "std": [0.5]}


def names(pipeline) -> list[str]:
    return [step.name for step in pipeline.steps]


def test_an_empty_list_gives_pixels_from_0_to_1() -> None:
    images = torch.tensor([[[[0, 51, 255]]]], dtype=torch.uint8)
    result = build_pipeline([])(images, torch.Generator())
    assert result.flatten().tolist() == pytest.approx([0.0, 0.2, 1.0])


def test_leading_sizing_goes_to_the_worker() -> None:
    pipeline = build_pipeline([RESIZE, RANDOM, FLIP, CENTER, NORMALIZE])
    head, tail = pipeline.divide(random_in_worker=True)
    assert names(head) == ["resize", "random_crop"]
    assert names(tail) == ["horizontal_flip", "center_crop", "normalize"]
    head, tail = pipeline.divide(random_in_worker=False)
    assert names(head) == ["resize"]
    assert len(tail.steps) == 4


@pytest.mark.parametrize(
    ("items", "text", "position"),
    [
        ([NORMALIZE, FLIP], "is random; evaluation must", 1),
        ([NORMALIZE, RESIZE], "must stand first", 1),
        ([RANDOM], "is random", 0),
        ([NORMALIZE, NORMALIZE], "stands twice", 1),
    ],
)
def test_what_evaluation_refuses(items, text, position) -> None:
    with pytest.raises(TransformError, match=text) as caught:
        build_eval_pipeline(items)
    assert caught.value.position == position


def test_wrong_names_and_parameters() -> None:
    with pytest.raises(ConfigError, match="did you mean 'resize'"):
        build_pipeline([{"name": "resise", "size": 3}])
    with pytest.raises(ConfigError, match="size"):
        build_pipeline([{"name": "resize", "size": -3}])
    with pytest.raises(TransformError, match="both mean and std"):
        build_pipeline([{"name": "normalize", "mean": [0.5]}])


@pytest.mark.parametrize(
    ("size", "items", "expected"),
    [
        ((28, 28), [], (28, 28)),
        ((32, 32), [("random_crop", {"size": 32, "padding": 4})], (32, 32)),
        ((30, 60), [("resize", {"size": 24})], (24, 48)),
        (None, [("resize", {"size": [24, 20]})], (24, 20)),
        (None, [("resize", {"size": 256}), ("center_crop", {"size": 224})], (224, 224)),
        (None, [("random_resized_crop", {"size": 224}), ("horizontal_flip", {})], (224, 224)),
    ],
)
def test_the_planned_size(size, items, expected) -> None:
    assert planned_size(size, items) == expected


def test_a_size_that_cannot_be_planned() -> None:
    with pytest.raises(ValueError, match="may differ in size"):
        planned_size(None, [("resize", {"size": 256})])
    with pytest.raises(TransformError, match="224 x 224 is larger than the image of 200 x 200"):
        planned_size(None, [("resize", {"size": 200}), ("center_crop", {"size": 224})])
