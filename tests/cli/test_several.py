"""`fit` in two processes, one of which is killed, or asked to stop; torchrun itself is in
`scripts/check_processes`."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

ACCIDENT = """
import os
import signal
import time
from cnntrain.data import transform

BATCHES = []

@transform("accident", random=True)
class Accident:
    \"\"\"Kills the second process in its eighth batch; or takes its time for each.\"\"\"

    def __call__(self, images, generator):
        del generator
        if len(images) > 2:  # not the two that are tried at first
            BATCHES.append(len(images))
        if os.environ.get("ACCIDENT") == "slow":
            time.sleep(0.05)
        if os.environ.get("ACCIDENT") == "kill" and os.environ["RANK"] == "1":
            if len(BATCHES) == 8:
                os.kill(os.getpid(), signal.SIGKILL)
        return images

    def output_size(self, size):
        return size
"""
TRAIN = [{"affine": {"translate": 0.1}}, "accident", "normalize"]


@pytest.fixture
def file(run_file: RunFile) -> Path:
    """A run file with dropout, a batch norm and the accident; 20 steps."""
    Path("accident.py").write_text(ACCIDENT)
    return run_file({"plugins": ["accident.py"], "data.transforms.train": TRAIN})


def two(file: Path, *words: str, accident: str) -> list[subprocess.Popen[str]]:
    """Both processes, with what torchrun would say in their environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    fixed = {**os.environ, **places, "OMP_NUM_THREADS": "1", "ACCIDENT": accident}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "cnntrain", "fit", str(file), "--no-report", *words],
            env={**fixed, "RANK": str(index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]


def wait_for_steps(run: Path, started: list[subprocess.Popen[str]]) -> None:
    metrics = run / "metrics.jsonl"
    while not (metrics.exists() and metrics.read_text().count("\n") > 2):
        assert all(each.poll() is None for each in started), started
        time.sleep(0.02)


def test_one_is_killed_and_one_continues(file: Path, cnntrain: Cnntrain) -> None:
    words = ("--out", "killed", "--resume", "auto", "-s", "record.checkpoint_every=1")
    started = two(file, *words, accident="kill")
    answers = [each.communicate(timeout=100) for each in started]
    assert [each.returncode for each in started] == [8, -signal.SIGKILL], answers
    err = answers[0][1]
    assert err.count("72 train, 24 validation, 30 test images") == 1
    assert "in each of 2 processes" in err
    said = [line for line in err.splitlines() if line.startswith("error: ")]
    assert len(said) == 1, err
    assert said[0].startswith("error: another process of this training has ended"), err
    assert "--resume auto" in said[0]
    assert answers[1] == ("", ""), "only the first process speaks"
    answer = cnntrain("fit", str(file), "--no-report", *words)
    assert answer.code == 0, answer.err
    assert "continues killed from epoch 2, step 7" in answer.err
    assert json.loads(Path("killed/summary.json").read_text())["step"] == 20


def test_a_stop_asked_of_the_second_is_saved_once_by_the_first(
    file: Path, cnntrain: Cnntrain
) -> None:
    started = two(file, "--out", "stopped", accident="slow")
    wait_for_steps(Path("stopped"), started)
    for _ in range(3):  # a launcher and the system may both send it
        started[1].send_signal(signal.SIGTERM)
    answers = [each.communicate(timeout=100) for each in started]
    assert [each.returncode for each in started] == [143, 143], answers
    summary = json.loads(Path("stopped/summary.json").read_text())
    assert summary["reason"] == "stopped"
    assert 0 < summary["step"] < 20
    saved = Path("stopped/train.log").read_text().count("saved ")
    assert saved == 2 + summary["step"] // 5, "at the start, after epochs, and once at the stop"
    answer = cnntrain("fit", "--resume", "stopped", "--no-report")
    assert answer.code == 0, answer.err
    assert json.loads(Path("stopped/summary.json").read_text())["step"] == 20


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["eval", "runs/x"], "`cnntrain eval`"),
        (["fit", "digits", "--folds", "3"], "cross-validation"),
    ],
)
def test_what_several_processes_cannot_do(
    cnntrain: Cnntrain, monkeypatch: pytest.MonkeyPatch, words: list[str], what: str
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    answer = cnntrain(*words)
    assert answer.code == 2
    assert f"{what} works in one process, and 2 were started (WORLD_SIZE=2)" in answer.err
