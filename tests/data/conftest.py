"""Made-up image folders, and a cache folder of each test's own."""

import io
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

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


@pytest.fixture
def pack() -> Callable[..., Path]:
    """pack(path, [("0.png", b"..."), ("0.cls", "1")]) writes a tar file with the standard library.

    Further arguments are set in every member's header.
    """

    def write(path: Path, members: Iterable[tuple[str, bytes | str]], **header: Any) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as tar:
            for name, content in members:
                found = tarfile.TarInfo(name)
                raw = content.encode() if isinstance(content, str) else content
                found.size = len(raw)
                for key, value in header.items():
                    setattr(found, key, value)
                tar.addfile(found, io.BytesIO(raw))
        return path

    return write
