"""Copies of images by class: names that are safe and different, all of them or none."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from cnntrain.core.errors import DataError, DiskError
from cnntrain.core.whole_folder import refuse_used
from cnntrain.model.sorted_folders import folder_names, sort_into


def test_names_of_folders() -> None:
    names = {
        "cat": "cat",
        "黒 猫": "黒 猫",
        "a/b": "a%2Fb",
        "a%2Fb": "a%252Fb",  # else the two would be one folder
        "..": "%2E%2E",
        ".git": "%2Egit",
        "end.": "end%2E",
        'C:\\<>"|?*': "C%3A%5C%3C%3E%22%7C%3F%2A",
        "con.jpg": "%63on.jpg",  # a device on Windows
        "\x1b": "%1B",
        "": "%",
        "Cat": "Cat~2",  # the same folder on macOS and Windows
        "CAT": "CAT~3",
        "none of these": "none of these",
    }
    assert folder_names(list(names)) == list(names.values())
    assert folder_names(["none of these", "none of these"]) == ["none of these", "none of these~2"]
    long = folder_names(["猫" * 100, "猫" * 101])
    assert [len(name.encode()) for name in long] == [198, 200]  # whole letters of 3 bytes, then ~2


def test_copies(tmp_path: Path) -> None:
    names = ["a/1.jpg", "b/1.JPG", "c/1.jpg", "d/2.jpg", "e/" + "n" * 251 + ".jpg"]
    files = [tmp_path / name for name in [*names, "f/" + "n" * 251 + ".jpg"]]
    for number, file in enumerate(files):
        file.parent.mkdir()
        file.write_bytes(bytes([number]))
    os.utime(files[0], (1e9, 1e9))
    sort_into(tmp_path / "new", {"x": files[:3], "y": files[3:]})
    found = {str(p.relative_to(tmp_path / "new")): p for p in (tmp_path / "new").rglob("*.*")}
    cut = "y/" + "n" * 245 + "-2.jpg"
    wanted = ["x/1.jpg", "x/1-2.JPG", "x/1-3.jpg", "y/2.jpg", f"y/{files[4].name}", cut]
    assert {name: path.read_bytes()[0] for name, path in found.items()} == {
        name: number for number, name in enumerate(wanted)
    }
    assert found["x/1.jpg"].stat().st_mtime == 1e9
    assert not found["x/1.jpg"].samefile(files[0])
    assert all(file.is_file() for file in files), "they are copied, not moved"


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_all_or_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool, error: BaseException
) -> None:
    files = [tmp_path / "1.jpg", tmp_path / "2.jpg"]
    for file in files:
        file.write_bytes(b"x")
    new = tmp_path / "new"
    if is_there:
        new.mkdir()
    copy = shutil.copyfileobj

    def stops(source: object, target: object, length: int) -> None:
        copy(source, target, length)  # type: ignore[misc]
        if list(new.rglob("2.jpg")):
            raise error

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfileobj", stops)
        kind = DiskError if isinstance(error, OSError) else KeyboardInterrupt
        with pytest.raises(kind):
            sort_into(new, {"x": files})
    assert new.exists() == is_there
    assert not list(new.rglob("*"))
    # what a process that was killed has left is no hindrance
    (new / ".cnntrain.tmp" / "x").mkdir(parents=True)
    refuse_used(new, option="--sort-into")
    sort_into(new, {"x": files})
    assert sorted(p.name for p in new.rglob("*")) == ["1.jpg", "2.jpg", "x"]


def test_a_file_that_is_gone(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"cannot read .*gone.jpg, which could be read before"):
        sort_into(tmp_path / "new", {"x": [tmp_path / "gone.jpg"]})
    assert not (tmp_path / "new").exists()
