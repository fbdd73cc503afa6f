"""The cache: gone, damaged or read-only, it never stops anyone."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnntrain.data.cache import cached, listing_key


class Compute:
    """A result that counts how often it is computed."""

    times = 0

    def __call__(self) -> NDArray[Any]:
        self.times += 1
        return np.arange(1000, dtype=np.uint8)


@pytest.fixture
def compute() -> Compute:
    return Compute()


def result(compute: Compute, key: str = "x", **expected: Any) -> list[int]:
    expected = {"shape": (1000,), "dtype": np.uint8, **expected}
    return cached("a/b.npz", key, compute=compute, **expected).tolist()


def test_an_array_comes_back(cache: Path, compute: Compute) -> None:
    expected = np.arange(1000, dtype=np.uint8).tolist()
    assert [result(compute), result(compute), compute.times] == [expected, expected, 1]
    assert [p.name for p in cache.rglob("*") if p.is_file()] == ["b.npz"]


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff\xfe", b"PK\x03\x04broken"])
def test_damaged_files_count_as_absent(cache: Path, compute: Compute, content: bytes) -> None:
    (cache / "a").mkdir(parents=True)
    (cache / "a" / "b.npz").write_bytes(content)
    assert [result(compute), compute.times] == [result(compute), 1]


@pytest.mark.parametrize("other", [{"key": "y"}, {"shape": (10, 100)}, {"dtype": np.int64}])
def test_other_arrays_count_as_absent(cache: Path, compute: Compute, other: dict[str, Any]) -> None:
    result(compute)
    result(compute, **other)
    assert compute.times == 2


def test_a_changed_byte_is_noticed(cache: Path, compute: Compute) -> None:
    expected = result(compute)
    content = bytearray((cache / "a" / "b.npz").read_bytes())
    content[600] ^= 1
    (cache / "a" / "b.npz").write_bytes(content)
    assert [result(compute), compute.times] == [expected, 2]


def test_a_cache_that_cannot_be_written_is_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, compute: Compute
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert result(compute) == result(compute)
    assert compute.times == 2


def test_the_key_follows_names_sizes_and_times(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("one")
    first = listing_key([path], 3)
    assert listing_key([path], 3) == first
    assert listing_key([path], 1) != first
    path.write_text("longer")
    assert listing_key([path], 3) != first
    assert listing_key([tmp_path / "missing"]) == listing_key([tmp_path / "missing"])
