"""What is refused when a run's parts are put together, at its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError

FLAT_NORM = ["flatten", {"linear": {"out": 4}}, "batch_norm", {"linear": {"out": "$num_classes"}}]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"data.batch_size": 71}, "a batch of 1 of the 72 training images is a single image"),
        ({"train.accumulate": 15}, "a batch of 8 .* has a part of a single image"),
        ({"train.accumulate": 3, "data.batch_size": 28, "data.drop_last": True}, None),
        ({"train.accumulate": 3, "data.batch_size": 25, "data.drop_last": True}, None),
        ({"data.batch_size": 71, "data.drop_last": True}, None),
        (
            {"data.batch_size": 1},
            "a batch of 1 .* is a single image.*; set a larger `data.batch_size",
        ),
    ],
    ids=str,
)
def test_batch_norm_over_a_single_flat_image(
    run_file: Callable[..., Path], changes: dict[str, Any], says: str | None
) -> None:
    file = run_file({"arch": {"layers": FLAT_NORM}, **changes})
    if says is None:
        prepare(load(file))
        return
    with pytest.raises(ConfigError, match=says) as caught:
        prepare(load(file))
    assert "'batch_norm1' has no variance" in str(caught.value)
    assert caught.value.problems[0].place is not None


def test_batch_norm_over_the_maps_of_a_single_image_is_in_order(
    run_file: Callable[..., Path],
) -> None:
    prepare(load(run_file({"data.batch_size": 71})))  # 64 values per channel and image


def test_evaluation_at_another_size_needs_weights_that_do_not_depend_on_it(
    run_file: Callable[..., Path],
) -> None:
    larger = {"data.transforms": {"eval": [{"resize": {"size": [12, 12]}}, "normalize"]}}
    with pytest.raises(ConfigError) as caught:
        prepare(load(run_file(larger)))
    assert "training images become 8x8 and evaluation's 12x12" in str(caught.value)
    assert "'output.weight'" in str(caught.value)
    pooled = [{"conv": {"out": 4, "kernel": 3}}, "global_avg_pool", {"linear": {"out": 3}}]
    data = prepare(load(run_file({"arch": {"layers": pooled}, **larger}))).data
    assert data.validation is not None
    batches = [next(iter(loader.batches(1))) for loader in (data.train, data.validation)]
    assert [batch.images.shape[2:] for batch in batches] == [(8, 8), (12, 12)]
