"""Files, folders, patterns and lists that somebody names."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest

from cnntrain.core.errors import UsageError
from cnntrain.data.given_files import list_given, read_names, unrepeated


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a/b").mkdir(parents=True)
    for name in ("a/1.png", "a/2.jpg", "a/b/3.png", "a/b/note.txt", "a/[x].png", "a/.hidden.png"):
        Path(name).write_bytes(b"x")


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("a/1.png", "a/1.png"),
        ("a", "a/1.png a/2.jpg a/[x].png a/b/3.png"),
        ("a/*.png", "a/1.png a/[x].png"),
        ("a/[x].png", "a/[x].png"),  # a name, not a pattern that x.png would match
        ("**/*.png", "a/1.png a/[x].png a/b/3.png"),
        ("a/*", "a/1.png a/2.jpg a/[x].png a/b/3.png"),  # as a shell would: the folder a/b, too
        ("a/**/*", "a/1.png a/2.jpg a/[x].png a/b/3.png a/b/note.txt"),
    ],
)
def test_what_is_meant(given: str, wanted: str, tmp_path: Path) -> None:
    assert list_given([Path(given)]).images == tuple(map(Path, wanted.split()))
    whole = list_given([tmp_path / given]).images
    assert whole == tuple(tmp_path / name for name in wanted.split())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("a/9.png", "there is no file or folder a/9.png; check the path"),
        ("a/*.gif", "no file matches a/*.gif; check the pattern"),
        ("gone", "gone links to a file that is gone"),
    ],
)
def test_what_is_not_there(given: str, said: str) -> None:
    Path("gone").symlink_to("nowhere")
    with pytest.raises(UsageError) as found:
        list_given([Path("a"), Path(given)])
    assert str(found.value).startswith(said)


def test_each_file_once(tmp_path: Path) -> None:
    Path("link.png").symlink_to("a/1.png")
    names = ["a/2.jpg", "a/1.png", "a/./b/../1.png", str(tmp_path / "a/2.jpg"), "link.png"]
    files = [tmp_path / "a/b/3.png", *map(Path, names)]
    assert list(map(str, unrepeated(files))) == [str(files[0]), "a/2.jpg", "a/1.png", "link.png"]


@pytest.mark.parametrize(
    ("content", "names"),
    [
        (b"a.png\nb c.png\n", ["a.png", "b c.png"]),
        (b"\xef\xbb\xbfa.png\r\n\r\nb.png", ["a.png", "b.png"]),
        (b"a\nb.png\0c.png\0", ["a\nb.png", "c.png"]),
        (b"\xff.png\n*.png", [os.fsdecode(b"\xff.png"), "*.png"]),
    ],
)
def test_names_on_stdin(content: bytes, names: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert read_names() == [Path(name) for name in names]


def test_no_names_on_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\n")))
    with pytest.raises(UsageError, match=r"no name on stdin.*\| cnntrain predict RUN -"):
        read_names()
