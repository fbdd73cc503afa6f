"""Run folders: made, never overwritten, pointed to by `latest`."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path

import pytest

from cnntrain.core.errors import DiskError, UsageError
from cnntrain.runs.environment import describe_environment
from cnntrain.runs.folder import RUN_PATTERN, RunFolder, create_run, point_latest


def test_a_run_lies_under_its_name_and_time(tmp_path: Path) -> None:
    run = create_run(root=tmp_path, name="lenet5", now=lambda: datetime(2026, 1, 2, 3, 4, 5))
    assert run.path.parent == tmp_path / "lenet5"
    assert RUN_PATTERN.fullmatch(run.path.name)
    assert run.path.name.startswith("20260102-030405-")
    assert run.checkpoints.is_dir()


def test_runs_of_one_second_have_folders_of_their_own(tmp_path: Path) -> None:
    clock = lambda: datetime(2026, 1, 2)  # noqa: E731
    paths = {create_run(root=tmp_path, name="a", now=clock).path for _ in range(5)}
    assert len(paths) == 5


def test_latest_is_a_relative_link_to_the_newest(tmp_path: Path) -> None:
    for _ in range(2):
        run = create_run(root=tmp_path, name="a")
        point_latest(run)
    latest = tmp_path / "a" / "latest"
    assert latest.is_symlink()
    assert os.readlink(latest) == run.path.name  # noqa: PTH115 (the text itself is the point)
    left = {p.name for p in (tmp_path / "a").iterdir()}
    assert not [name for name in left if name.startswith(".")]


def test_latest_is_a_text_file_where_links_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError("links are not supported here")

    monkeypatch.setattr(os, "symlink", refuse)
    for _ in range(2):
        run = create_run(root=tmp_path, name="a")
        point_latest(run)
    assert (tmp_path / "a" / "latest").read_text().strip() == run.path.name


def test_out_is_the_exact_place(tmp_path: Path) -> None:
    run = create_run(root=tmp_path / "runs", name="a", out=tmp_path / "deep" / "here")
    assert run.path == tmp_path / "deep" / "here"
    assert run.last == tmp_path / "deep" / "here" / "checkpoints" / "last.pt"
    assert not (tmp_path / "runs").exists()


def test_out_may_be_an_empty_folder_but_never_one_in_use(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    create_run(root=tmp_path, name="a", out=tmp_path / "empty")
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="not empty, and a run is never overwritten"):
        create_run(root=tmp_path, name="a", out=tmp_path / "used")
    assert [p.name for p in (tmp_path / "used").iterdir()] == ["thesis.tex"]
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file"):
        create_run(root=tmp_path, name="a", out=tmp_path / "file")


@pytest.mark.parametrize("name", ["", "..", ".", "a/b", "a\\b", "20260102-030405-00ff", "a\n"])
def test_names_that_cannot_name_a_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be named"):
        create_run(root=tmp_path, name=name)


def test_a_root_that_is_a_file_is_a_disk_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    with pytest.raises(DiskError, match=r"cannot write .*runs"):
        create_run(root=tmp_path / "runs", name="a")


def test_files_are_written_whole(tmp_path: Path) -> None:
    run = create_run(root=tmp_path, name="a")
    run.write_text(run.classes, "cat\ndog")
    assert run.classes.read_bytes() == b"cat\ndog\n"
    run.write_json(run.environment, {"lr": float("nan"), "names": ("a",), "cuda": None})
    assert json.loads(run.environment.read_text()) == {"lr": None, "names": ["a"], "cuda": None}
    assert {p.name for p in run.path.iterdir()} == {
        "checkpoints",
        "classes.txt",
        "environment.json",
    }


def test_every_file_has_a_name_of_its_own() -> None:
    run = RunFolder(Path("r"))
    found = {name: getattr(run, name) for name in dir(run) if name != "path"}
    paths = [path for path in found.values() if isinstance(path, Path)]
    assert len(set(paths)) == len(paths) == 22


def test_the_environment_is_plain_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["cnntrain", "fit"])
    monkeypatch.chdir(tmp_path)
    found = describe_environment()
    assert json.loads(json.dumps(found)) == found
    assert found["argv"] == ["cnntrain", "fit"]
    assert found["git"] is None  # a temporary folder is no checkout
    packages = found["packages"]
    assert isinstance(packages, dict)
    assert str(found["torch"]).startswith(packages["torch"].split("+")[0])
