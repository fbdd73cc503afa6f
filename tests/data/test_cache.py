"""The cache: gone, damaged or read-only, it never stops anyone."""

from pathlib import Path

import numpy as np
import pytest

from cnntrain.data.cache import listing_key, read_arrays, read_json, write_arrays, write_json


def test_json_and_arrays_come_back(cache: Path) -> None:
    write_json("a/b.json", {"n": [1, 2]})
    write_arrays("c.npz", {"x": np.arange(5)})
    assert read_json("a/b.json") == {"n": [1, 2]}
    arrays = read_arrays("c.npz")
    assert arrays is not None
    assert arrays["x"].tolist() == [0, 1, 2, 3, 4]
    assert sorted(p.name for p in cache.rglob("*") if p.is_file()) == ["b.json", "c.npz"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"PK\x03\x04broken"])
def test_damaged_files_count_as_absent(cache: Path, content: bytes) -> None:
    cache.mkdir(parents=True)
    for name in ("x.json", "x.npz"):
        (cache / name).write_bytes(content)
    assert read_json("x.json") is None
    assert read_arrays("x.npz") is None


def test_a_changed_byte_in_arrays_is_noticed(cache: Path) -> None:
    write_arrays("x.npz", {"x": np.zeros(1000, np.uint8)})
    content = bytearray((cache / "x.npz").read_bytes())
    content[600] ^= 1
    (cache / "x.npz").write_bytes(content)
    assert read_arrays("x.npz") is None


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    write_json("x.json", {})
    assert read_json("x.json") is None


def test_the_key_follows_names_sizes_and_times(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    first = listing_key([path], 3)
    assert listing_key([path], 3) == first
    assert listing_key([path], 1) != first
    path.write_text("longer")
    assert listing_key([path], 3) != first
    assert listing_key([tmp_path / "missing"]) == listing_key([tmp_path / "missing"])
