"""Small files of a run are written as a whole too."""

import json
from pathlib import Path

import pytest

from cnntrain.checkpoint import write_json_atomically, write_text_atomically
from cnntrain.core.errors import DiskError


def test_text_and_json(tmp_path: Path) -> None:
    write_text_atomically(tmp_path / "a.txt", "é\n")
    assert (tmp_path / "a.txt").read_bytes() == "é\n".encode()
    write_json_atomically(tmp_path / "a.json", {"b": [1, None]})
    assert json.loads((tmp_path / "a.json").read_text()) == {"b": [1, None]}
    assert (tmp_path / "a.json").read_text().endswith("}\n")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.json", "a.txt"]


def test_what_json_cannot_say_leaves_the_old_file(tmp_path: Path) -> None:
    write_json_atomically(tmp_path / "a.json", 1)
    with pytest.raises(ValueError, match="Out of range"):
        write_json_atomically(tmp_path / "a.json", float("nan"))
    assert (tmp_path / "a.json").read_text() == "1\n"


def test_a_missing_folder_is_a_disk_error(tmp_path: Path) -> None:
    with pytest.raises(DiskError, match="No such file or directory"):
        write_text_atomically(tmp_path / "none" / "a.txt", "b")
