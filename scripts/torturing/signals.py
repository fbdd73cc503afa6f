"""SIGINT, SIGTERM and SIGHUP, once and twice, in each phase of a run."""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torturing.jobs import Note, differences, write_job
from torturing.part import Part
from torturing.processes import Command, run

SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
"""The exit code after a stop."""
PHASES = {
    "reading the run file": ("cnntrain.config.load:load", 1),
    "preparing": ("cnntrain.assemble.prepare:prepare", 1),
    "making the folder": ("cnntrain.runs.folder:create_run", 1),
    "first batch": ("cnntrain.train.step:forward_backward", 1),
    "in the middle": ("cnntrain.train.step:forward_backward", 18),
    "evaluation": ("cnntrain.train.evaluation:evaluate", 1),
    "second evaluation": ("cnntrain.train.evaluation:evaluate", 2),
    "writing a checkpoint": ("torch:save", 2),
    "last evaluation": ("cnntrain.train.evaluation:evaluate", 5),
    "closing": ("cnntrain.record.summary:json_text", 1),
}
"""A function, and at which of its calls the signal comes."""
SOON = 10.0
"""Seconds within which it must have ended."""
JOBS = ("plateau", "workers")


def send(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Each signal, once and twice, in each phase and job, `count` times."""
    del seed
    part = Part("signals", "SIGINT, SIGTERM, SIGHUP, once and twice, in ten phases and at start-up")
    codes: Counter[str] = Counter()
    for job in JOBS:
        file = write_job(job, place)
        whole = run(["fit", file, "--out", f"{job}-whole"], place=place)
        part.check(f"{job} runs undisturbed", whole.code == 0, str(whole))
        for name, code in SIGNALS.items():
            for times in (1, 2):
                for phase in PHASES:
                    for number in range(count):
                        what = f"{job}, {name} x{times}, {phase}, {number}"
                        codes[_attempt(part, place, file, what, name, code, times, phase)] += 1
                        note(f"{what}, {len(part.failures)} failures")
    for number in range(6 * count):
        _at_start(part, place, file, number)
    part.numbers |= {"ended with": dict(sorted(codes.items()))}
    return part


def _attempt(
    part: Part, place: Path, file: Path, what: str, name: str, code: int, times: int, phase: str
) -> str:
    folder = place / "run"
    shutil.rmtree(folder, ignore_errors=True)
    began = time.perf_counter()
    command = Command(
        ["fit", file, "--out", folder], place=place, prepare=lambda: _hook(phase, name, times)
    )
    ended = command.wait()
    sent = place / "sent"
    if not sent.exists():
        return "not met"
    seconds = time.time() - sent.stat().st_mtime
    sent.unlink()
    del began
    part.check(f"{what}: exit code", ended.code in (code, 0), str(ended))
    part.check(f"{what}: soon", seconds < SOON, f"{seconds:.1f} s")
    part.check(f"{what}: no traceback", not ended.traceback, str(ended))
    part.check(f"{what}: no orphans", not command.orphans(), "orphans")
    resumed = run(["fit", file, "--out", folder, "--resume", "auto", "-q"], place=place)
    if part.check(f"{what}: the same command continues", resumed.code == 0, str(resumed)):
        found = differences(folder, place / f"{file.stem}-whole")
        part.check(f"{what}: same run", not found, "; ".join(found[:3]))
    return str(ended.code)


def _hook(phase: str, name: str, times: int) -> None:
    """Have the process send itself the signals when that phase begins."""
    place, at = PHASES[phase]
    module_name, _, attribute = place.partition(":")
    module = importlib.import_module(module_name)
    original: Callable[..., Any] = getattr(module, attribute)
    calls = iter(range(1, 1_000_000))

    def wrapped(*arguments: Any, **others: Any) -> Any:
        if next(calls) == at:
            Path("sent").touch()
            for _ in range(times):
                os.kill(os.getpid(), signal.Signals[name])
        return original(*arguments, **others)

    for other in list(sys.modules.values()):
        for key, value in list(getattr(other, "__dict__", {}).items()):
            if value is original and getattr(other, "__name__", "").startswith(
                ("cnntrain", "torch.ser")
            ):
                setattr(other, key, wrapped)
    setattr(module, attribute, wrapped)


def _at_start(part: Part, place: Path, file: Path, number: int) -> None:
    """The real program, while it imports."""
    name = list(SIGNALS)[number % len(SIGNALS)]
    words = [sys.executable, "-c", "from cnntrain.cli.app import main; main()", "fit", str(file),
             "--out", str(place / f"start{number}")]  # fmt: skip
    process = subprocess.Popen(words, cwd=place, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)  # fmt: skip
    time.sleep(0.15 + 0.35 * (number // len(SIGNALS)))
    process.send_signal(signal.Signals[name])
    try:
        _, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        part.check(f"{name} at start-up: ends", held=False)
        return
    ok = process.returncode in (SIGNALS[name], SIGNALS[name] - 256, -signal.Signals[name], 0)
    part.check(f"{name} at start-up: exit code", ok, f"{process.returncode}: {err[-200:]}")
    part.check(f"{name} at start-up: no traceback", "Traceback" not in err, err[-300:])
