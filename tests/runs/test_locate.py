"""Finding runs: folders, names, checkpoints, and what is said of wrong paths."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path

import pytest

from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.runs.folder import RunFolder, create_run, point_latest
from cnntrain.runs.locate import find_run


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    run = create_run(root=tmp_path / "runs", name="lenet5")
    point_latest(run)
    run.last.write_bytes(b"last")
    run.best.write_bytes(b"best")
    return run


def test_a_folder_a_name_and_latest_find_the_same_run(run: RunFolder) -> None:
    for path in (run.path, run.path.parent, run.path.parent / "latest"):
        found = find_run(path)
        assert found.run is not None
        assert found.run.path.resolve() == run.path.resolve()
        assert found.to_evaluate().name == "best.pt"
        assert found.to_resume().name == "last.pt"


def test_the_latest_run_of_a_name(tmp_path: Path, run: RunFolder) -> None:
    newer, newest = (
        create_run(
            root=tmp_path / "runs", name="lenet5", now=lambda day=day: datetime(2100, 1, day)
        )
        for day in (1, 2)
    )
    for each in (newer, newest):
        each.last.write_bytes(b"x")
        each.previous.write_bytes(b"y")
    point_latest(newest)
    assert find_run(run.path.parent).to_evaluate() == newest.last
    shutil.rmtree(newest.path)  # `latest` now dangles
    assert find_run(run.path.parent).to_evaluate() == newer.last
    shutil.rmtree(newer.path)
    assert find_run(run.path.parent).to_evaluate() == run.best


def test_a_newer_run_without_a_checkpoint_is_named_and_passed_over(
    tmp_path: Path, run: RunFolder
) -> None:
    assert find_run(run.path.parent).note == ""
    empty = create_run(root=tmp_path / "runs", name="lenet5", now=lambda: datetime(2100, 1, 1))
    for _ in range(2):
        found = find_run(run.path.parent)
        assert found.run == run
        assert found.note.endswith(
            f"lenet5 is {run.path.name} here, not {empty.path.name}: that one has no checkpoint"
        )
        point_latest(empty)  # as earlier versions did before there was a checkpoint
    empty.last.write_bytes(b"x")
    point_latest(empty)
    found = find_run(run.path.parent)  # it is in its first epoch
    assert (found.run, found.note[-29:]) == (run, ": that one is not trained yet")
    assert find_run(run.path.parent, newest=True).run == empty
    empty.previous.write_bytes(b"x")
    assert find_run(run.path.parent).run == empty
    point_latest(run)
    assert find_run(run.path.parent).note.endswith("`latest` points to it")


def test_latest_as_a_text_file(run: RunFolder) -> None:
    latest = run.path.parent / "latest"
    latest.unlink()
    latest.write_text(run.path.name + "\n")
    assert find_run(latest).run == run
    assert find_run(latest.parent).run == run


def test_a_checkpoint_is_taken_as_it_is(tmp_path: Path, run: RunFolder) -> None:
    found = find_run(run.last)
    assert found.run == run
    assert found.to_evaluate() == found.to_resume() == run.last
    stray = tmp_path / "mine.pt"
    stray.write_bytes(b"x")
    assert find_run(stray).run is None
    assert find_run(stray).to_evaluate() == stray


def test_a_damaged_rename_leaves_the_one_before(run: RunFolder) -> None:
    run.last.rename(run.previous)
    run.best.unlink()
    assert find_run(run.path).to_resume() == run.previous
    assert find_run(run.path).to_evaluate() == run.previous


def test_a_run_without_checkpoints_names_one_that_has_some(tmp_path: Path, run: RunFolder) -> None:
    empty = create_run(root=tmp_path / "runs", name="lenet5")
    with pytest.raises(CheckpointError, match="has no checkpoint") as caught:
        find_run(empty.path).to_evaluate()
    assert str(run.path) in str(caught.value)


def test_wrong_paths_are_told_the_nearest_right_one(tmp_path: Path, run: RunFolder) -> None:
    runs = tmp_path / "runs"
    with pytest.raises(UsageError, match=f"did you mean '{runs / 'lenet5'}'"):
        find_run(runs / "lenet")
    with pytest.raises(UsageError, match=r"did you mean .*best\.pt"):
        find_run(run.checkpoints / "bst.pt")
    with pytest.raises(UsageError, match="does not exist either"):
        find_run(tmp_path / "no" / "where")
    with pytest.raises(UsageError, match="did you mean 'runs/lenet5'"):
        find_run(Path("lenet5"))


def test_names_of_files_are_not_guessed_below_a_folder(tmp_path: Path, run: RunFolder) -> None:
    with pytest.raises(UsageError, match="did you mean 'starter'"):
        find_run(Path("starte"), others=["starter"])
    with pytest.raises(UsageError, match="starte; the runs there are lenet5"):
        find_run(tmp_path / "runs" / "starte", others=["starter"])
    (tmp_path / "photos").mkdir()
    with pytest.raises(UsageError, match="starte; check the path"):
        find_run(tmp_path / "photos" / "starte", others=["starter"])


def test_what_is_no_run(tmp_path: Path, run: RunFolder) -> None:
    with pytest.raises(UsageError, match="add a name: lenet5"):
        find_run(tmp_path / "runs")
    (tmp_path / "photos").mkdir()
    with pytest.raises(CheckpointError, match="not a run's folder"):
        find_run(tmp_path / "photos")
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        find_run(tmp_path / "notes.txt")
    assert run.path.exists()
