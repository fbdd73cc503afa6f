"""Made-up image folders, and a cache folder of each test's own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

MakeFolder = Callable[..., Path]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "cnntrain"


@pytest.fixture
def make_folder(tmp_path: Path) -> MakeFolder:
    """make_folder({"train/cat": 3}, size=(8, 10)) writes PNGs with pixels all of their own."""

    def make(
        contents: Mapping[str, int],
        size: tuple[int, int] = (8, 10),
        grow: int = 0,
        suffix: str = ".png",
    ) -> Path:
        root = tmp_path / "images"
        random = np.random.default_rng(7)
        for folder, count in contents.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            for number in range(count):
                shape = (size[0] + grow * number, size[1] + 2 * grow * number, 3)
                pixels = random.integers(0, 256, shape, dtype=np.uint8)
                Image.fromarray(pixels).save(root / folder / f"{number:02}{suffix}")
        return root

    return make
