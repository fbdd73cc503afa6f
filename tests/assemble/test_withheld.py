"""What keeps images from training is named with what gives them back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.assemble.withheld import withheld
from cnntrain.config.load import load


@pytest.mark.parametrize(
    ("changes", "key", "override"),
    [
        ({"data.split.train": 10}, "data.split.train", "data.split.train=null"),
        ({"data.split.test": 0.9}, "data.split.test", "data.split.test=0.2"),
        ({"data.split.validation": 0.6}, "data.split.validation", "data.split.validation=0.2"),
        ({"data.split.validation": 0.5}, "", ""),
        ({"data.split.validation": 60}, "", ""),  # a count says nothing of the others
    ],
)
def test_what_keeps_images_from_training(
    run_file: Callable[..., Path], changes: dict[str, Any], key: str, override: str
) -> None:
    file = run_file(changes)
    found = withheld(load(file))
    assert found.key == key
    assert found.overrides == ((override,) if override else ())
    assert withheld(load(file, overrides=list(found.overrides))).key == ""
