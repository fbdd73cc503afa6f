"""The whitening of training images: from its definition, and what it may be learnt from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cnntrain.data.loaders import open_data
from cnntrain.data.statistics import same_steps
from cnntrain.data.transform_errors import ListError
from cnntrain.show.whitening import from_text

SMALL = {"size": 6, "channels": 2, "classes": 3, "images": 60, "test_images": 6}
EPSILON = 0.003
ZCA = [("zca", {"epsilon": EPSILON})]


def test_it_whitens_by_the_root_of_the_covariance() -> None:
    """M (C + epsilon) M = 1 for the covariance C, which only the inverse root does."""
    data = open_data("synthetic", parameters=SMALL, train_transforms=ZCA, eval_transforms=ZCA)
    plain = open_data("synthetic", parameters=SMALL, train_transforms=[], eval_transforms=[])
    pixels = torch.cat([batch.images for batch in plain.train.batches(1)])
    rows = pixels.flatten(1).double().numpy()
    whitening = from_text(data.eval_pipeline[0]["learnt"])
    np.testing.assert_allclose(whitening.mean.numpy(), rows.mean(axis=0), atol=1e-7)
    matrix = whitening.matrix.numpy()
    whole = np.cov(rows, rowvar=False, bias=True) + EPSILON * np.eye(72)
    np.testing.assert_allclose(matrix @ whole @ matrix, np.eye(72), atol=1e-5)
    assert np.linalg.eigvalsh(matrix).min() > 0
    seen = torch.cat([batch.images for batch in data.train.batches(1)])
    assert data.statistics is not None
    torch.testing.assert_close(data.statistics.undo(seen), pixels, rtol=0, atol=1e-5)
    assert data.train_pipeline == data.eval_pipeline


def test_it_is_learnt_of_what_evaluation_shows_without_noise() -> None:
    before = [("center_crop", {"size": 4})]
    lists = {"train_transforms": [("random_crop", {"size": 4}), *ZCA]}
    plain = open_data("synthetic", parameters=SMALL, eval_transforms=[*before, *ZCA], **lists)
    noisy = [*before, ("noise", {"std": 0.5}), *ZCA]
    spoilt = open_data("synthetic", parameters=SMALL, eval_transforms=noisy, form="image", **lists)
    assert plain.eval_pipeline[-1] == spoilt.eval_pipeline[-1]
    assert spoilt.targets.whitening == spoilt.eval_pipeline[-1]["learnt"]
    assert len(from_text(plain.eval_pipeline[-1]["learnt"]).mean) == 2 * 4 * 4


def test_memory_and_worker_processes_give_the_same_values(make_folder: Callable[..., Path]) -> None:
    root = str(make_folder({"train/a": 9, "train/b": 4}, size=(8, 8)))
    steps = [("resize", {"size": [5, 6]}), *ZCA]
    found = []
    for memory, workers, batch in (("resident", 0, 13), ("stream", 0, 5), ("stream", 1, 13)):
        data = open_data(
            "image_folder",
            parameters={"root": root},
            train_transforms=steps,
            eval_transforms=steps,
            memory=memory,
            workers=workers,
            batch_size=batch,
        )
        found.append(torch.cat([each.images for each in data.train.batches(1)]))
        data.close()
    assert all(torch.equal(found[0], each) for each in found[1:])


def test_images_of_many_values_are_refused() -> None:
    large = {**SMALL, "size": 15}
    with pytest.raises(ListError, match=r"2 x 15 x 15 have 450 values.* 400 at most") as caught:
        open_data("synthetic", parameters=large, train_transforms=ZCA, eval_transforms=ZCA)
    assert (caught.value.split, caught.value.position) == ("eval", 0)


def test_lists_are_the_same_but_for_rounding() -> None:
    data = open_data("synthetic", parameters=SMALL, train_transforms=ZCA, eval_transforms=ZCA)
    [step] = data.eval_pipeline
    other = open_data("synthetic", parameters={**SMALL, "pattern_seed": 1},
                      train_transforms=ZCA, eval_transforms=ZCA)  # fmt: skip
    assert same_steps([step], [dict(step)])
    assert not same_steps([step], [])
    assert not same_steps([step], [{**step, "epsilon": 0.1}])
    assert not same_steps([step], other.eval_pipeline)
