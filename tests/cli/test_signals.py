"""Signals, in processes of their own: what is saved, how they end, and that nothing is lost.

A layer of the user's sends the signal in a step, so that no test waits for a moment to come.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.config.load import load
from cnntrain.fit.fit import fit, resume

PLUGIN = '''
import os, signal
from torch import Tensor, nn
from cnntrain.layers import layer

@layer("signal_at")
class SignalAt(nn.Module):
    """Sends the signals that the environment names, in a training step."""
    def __init__(self, *, step: int = 1) -> None:
        super().__init__()
        self.step, self.steps = step, 0
    def forward(self, x: Tensor) -> Tensor:
        if self.training and not x.is_meta:
            self.steps += 1
            if self.steps == self.step:
                for name in os.environ.get("SIGNALS", "").split():
                    os.kill(os.getpid(), signal.Signals[name])
        return x
'''


@pytest.fixture(scope="module")
def plugin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("plugin") / "plugin.py"
    file.write_text(PLUGIN)
    return file


@pytest.fixture
def file(run_file: Callable[..., Path], plugin: Path) -> Path:
    return run_file(
        {
            "plugins": [str(plugin)],
            "train.epochs": 2,
            "train.ema": {"decay": 0.9},
            "record.checkpoint_every": 2,
            "arch.layers": [
                {"signal_at": {"step": 9}},
                "flatten",
                {"dropout": {"p": 0.3}},
                {"linear": {"out": "$num_classes"}},
            ],
        }
    )


def fit_with_signals(
    file: Path, out: Path, signals: str, **others: Any
) -> subprocess.CompletedProcess[str]:
    words = ["fit", str(file), "--out", str(out), "-s", "compute.threads=1"]
    program = "from cnntrain.cli.app import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *words],
        env={**os.environ, "SIGNALS": signals},
        capture_output=True,
        text=True,
        timeout=120,
        **others,
    )


def steps_done(run: Path) -> tuple[int, int]:
    position = load_checkpoint(run / "checkpoints" / "last.pt")["train"]
    assert isinstance(position, dict)
    return position["epoch"], position["step"]


def goes_on_as_if_nothing_had_been(file: Path, run: Path) -> None:
    whole = run.with_name("whole")
    fit(load(file), out=whole, quiet=True)
    resume(run, quiet=True)
    ours = load_checkpoint(run / "checkpoints/last.pt")
    theirs = load_checkpoint(whole / "checkpoints/last.pt")
    for part in ("model", "ema"):
        first, second = ours[part], theirs[part]
        assert isinstance(first, dict)
        assert isinstance(second, dict)
        assert all(torch.equal(first[name], second[name]) for name in second)
    steps = [line.split(",")[1] for line in (run / "metrics.csv").read_text().splitlines()]
    assert steps == ["step", "5", "10"]


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_a_signal_saves_after_the_batch(file: Path, tmp_path: Path, name: str, code: int) -> None:
    ended = fit_with_signals(file, tmp_path / "run", name)
    assert ended.returncode == code, ended.stderr
    assert f"{name}: saving after this batch" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert f"cnntrain fit --resume {tmp_path / 'run'}" in ended.stderr
    assert ended.stdout == f"{tmp_path / 'run'}\n"
    assert steps_done(tmp_path / "run") == (1, 9)
    if name == "SIGTERM":
        goes_on_as_if_nothing_had_been(file, tmp_path / "run")


def test_under_nohup_sighup_stays_ignored(file: Path, tmp_path: Path) -> None:
    ended = fit_with_signals(
        file,
        tmp_path / "run",
        "SIGHUP SIGHUP",
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),
    )
    assert ended.returncode == 0, ended.stderr
    assert steps_done(tmp_path / "run") == (2, 10)


AT_IMPORT = """
import os, signal, sys

class At:
    def find_spec(self, name, path, target=None):
        if name == MODULE:
            SEND

class Dying:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGNAL)

sys.meta_path.insert(0, At())
from cnntrain.cli.app import main
main()
"""
SEND = {"raised": "os.kill(os.getpid(), signal.SIGNAL)", "ignored by Python": "Dying()"}


@pytest.mark.parametrize("how", SEND)
@pytest.mark.parametrize(
    ("name", "module", "said"),
    [
        ("SIGINT", "typer", "stopped by Ctrl-C\n"),
        ("SIGTERM", "torch", "stopped by SIGTERM\n"),
        ("SIGHUP", "cnntrain.assemble.checked", "stopped by SIGHUP\n"),
    ],
)
def test_a_signal_during_imports_is_one_line(how: str, name: str, module: str, said: str) -> None:
    program = AT_IMPORT.replace("SEND", SEND[how])
    program = program.replace("MODULE", repr(module)).replace("SIGNAL", name)
    ended = subprocess.run(
        [sys.executable, "-c", program, "check", "lenet5"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (ended.returncode, ended.stderr.strip()) == (128 + signal.Signals[name], said.strip())
    assert ended.stdout == ""


def test_a_second_ctrl_c_ends_it_at_once(file: Path, tmp_path: Path) -> None:
    ended = fit_with_signals(file, tmp_path / "run", "SIGINT SIGINT")
    assert ended.returncode == 130, ended.stderr
    assert "Ctrl-C: saving after this batch (again to stop at once)" in ended.stderr
    assert ended.stderr.endswith("stopped at once by Ctrl-C; the last checkpoint stands\n")
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    assert steps_done(tmp_path / "run") == (1, 8)  # the last of every second step
    assert not (tmp_path / "run" / "lock").exists()


def test_a_killed_run_goes_on_from_its_last_checkpoint(file: Path, tmp_path: Path) -> None:
    ended = fit_with_signals(file, tmp_path / "run", "SIGKILL")
    assert ended.returncode == -9
    assert steps_done(tmp_path / "run") == (1, 8)
    assert (tmp_path / "run" / "lock").exists()  # of a process that is gone
    goes_on_as_if_nothing_had_been(file, tmp_path / "run")
