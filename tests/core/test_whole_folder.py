"""A folder that is filled as a whole; `tests/model/test_sorted_folders.py` interrupts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from cnntrain.core.errors import UsageError
from cnntrain.core.whole_folder import filled_whole, refuse_used


def test_it_appears_as_a_whole(tmp_path: Path) -> None:
    new = tmp_path / "new"
    refuse_used(new, option="--out")
    with filled_whole(new, needed=2) as inside:
        (inside / "a").write_text("1")
        (inside / "b").mkdir()
        assert [path.name for path in new.iterdir()] == [inside.name]
    assert sorted(path.name for path in new.iterdir()) == ["a", "b"]
    with pytest.raises(UsageError, match=r"--out .*new is not empty, and nothing in it is over"):
        refuse_used(new, option="--out")


def test_where_it_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UsageError, match=r"--out .*file is not a folder; name a new folder"):
        refuse_used(tmp_path / "file", option="--out")
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere; make it first"):
        refuse_used(tmp_path / "nowhere" / "new", option="--out")
