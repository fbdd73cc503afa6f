"""Outputs that fail, in processes of their own: readers that leave, full disks, closed streams."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.config.load import load
from cnntrain.fit.fit import fit

PROGRAM = f"{shlex.quote(sys.executable)} -c 'from cnntrain.cli.app import main; main()'"


def shell(line: str) -> subprocess.CompletedProcess[str]:
    """The exit code is that of the first command of a pipe."""
    script = f'cnntrain() {{ {PROGRAM} "$@"; }}; {line}; exit ${{PIPESTATUS[0]}}'
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, timeout=120)


@pytest.fixture
def file(run_file: Callable[..., Path]) -> Path:
    return run_file({"train.epochs": 3, "record.tensorboard": False})


def epochs(run: Path) -> list[str]:
    return [line.split(",")[0] for line in (run / "metrics.csv").read_text().splitlines()[1:]]


def test_a_reader_that_leaves_does_not_end_the_training(file: Path, tmp_path: Path) -> None:
    ended = shell(f"cnntrain fit {file} --out {tmp_path}/run 2>&1 | head -2")
    assert ended.returncode == 0
    assert len(ended.stdout.splitlines()) == 2
    assert epochs(tmp_path / "run") == ["1", "2", "3"]
    assert (tmp_path / "run" / "summary.json").is_file()
    log = (tmp_path / "run" / "train.log").read_text()
    assert log.count("Broken pipe; training continues") == 1


@pytest.mark.parametrize("streams", ["2>/dev/full", ">/dev/full", ">&- 2>&-"])
def test_full_and_closed_streams_change_nothing(file: Path, tmp_path: Path, streams: str) -> None:
    ended = shell(f"cnntrain fit {file} --out {tmp_path}/run {streams}")
    assert ended.returncode == 0
    assert epochs(tmp_path / "run") == ["1", "2", "3"]


def test_folders_in_the_places_of_outputs_are_set_aside(file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(load(file, overrides=["train.epochs=1"]), out=run, silent=True)
    for name in ("train.log", "metrics.jsonl"):
        (run / name).unlink()
        (run / name).mkdir()
    ended = shell(f"cnntrain fit --resume {run} -s train.epochs=3")
    assert ended.returncode == 0
    assert "metrics.jsonl is not what it was: it lacks the epoch 1" in ended.stderr
    assert "incomplete" not in ended.stderr
    for name in ("train.log", "metrics.jsonl"):
        assert (run / name).is_file()
    assert epochs(run) == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("list layers | head -1", 0, ""),
        ("list layers > /dev/full", 7, "error: No space left on device: the output on stdout"),
        ("chek 2> /dev/full", 2, ""),
        ("check nowhere.yaml 2> /dev/full", 2, ""),
    ],
)
def test_where_the_output_is_the_result(words: str, code: int, said: str) -> None:
    ended = shell(f"cnntrain {words}")
    assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)
    assert said in ended.stderr
    assert "ignored" not in ended.stderr


def test_files_are_written_though_no_reader_is_there(file: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    fit(load(file, overrides=["train.epochs=1"]), out=run, silent=True)
    ended = shell(
        f"cnntrain export {run} --to safetensors --to torch_export --out {tmp_path} | true"
    )
    assert ended.returncode == 0
    assert {p.suffix for p in tmp_path.iterdir()} >= {".safetensors", ".pt2"}
