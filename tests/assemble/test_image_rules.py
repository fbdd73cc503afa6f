"""Crops and sizes that leave too little, of images of 32x32 and of files of any size."""

from __future__ import annotations

from typing import Any

import pytest

from cnntrain.assemble.image_rules import image_remarks
from cnntrain.config.from_python import load_given

FILES = {"name": "image_folder", "root": "nowhere"}
STORED = {"name": "synthetic", "size": 32}


@pytest.mark.parametrize(
    ("data", "transforms", "fault", "words"),
    [
        (STORED, {"center_crop": {"size": 8}}, "unseen_pixels", "leaves 6%"),  # 64 / 1024
        (STORED, {"center_crop": {"size": 24}}, None, ""),
        (STORED, {"resize": {"size": 8}}, "pooled_early", "0.25 times"),
        (STORED, {"resize": {"size": 16}}, None, ""),
        (FILES, [{"resize": {"size": 256}}, {"center_crop": {"size": 96}}], "unseen_pixels", "14%"),
        (FILES, [{"resize": {"size": 256}}, {"center_crop": {"size": 224}}], None, ""),
        (
            FILES,
            {"random_resized_crop": {"size": 64, "scale": [0.02, 0.1]}},
            "unseen_pixels",
            "10%",
        ),
        (FILES, {"random_resized_crop": {"size": 64}}, None, ""),
    ],
)
def test_what_is_left_of_an_image(
    data: dict[str, Any], transforms: Any, fault: str | None, words: str
) -> None:
    listed = transforms if isinstance(transforms, list) else [transforms]
    is_random = "random_resized_crop" in listed[0]
    sides = {"train": listed, "eval": [{"resize": {"size": [64, 64]}}] if is_random else listed}
    tree = {
        "arch": {"layers": ["global_avg_pool", {"linear": {"out": "$num_classes"}}]},
        "data": {**data, "transforms": sides},
        "train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}},
    }
    found = image_remarks(load_given(tree))
    assert [each.fault for each in found] == ([] if fault is None else [fault])
    assert all(words in each.headline for each in found)
    split = "train" if is_random else "eval"
    assert all(f"data.transforms.{split}" in each.headline for each in found)
    assert all(each.overrides for each in found)
    assert image_remarks(load_given(tree, [o for each in found for o in each.overrides])) == []
