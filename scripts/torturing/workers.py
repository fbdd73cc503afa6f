"""Processes that read images and die, stop, or find no shared memory."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from torturing.jobs import Note, differences, write_job
from torturing.part import Part
from torturing.processes import Command, run

ENDS = {"SIGKILL": 3, "SIGSEGV": 3, "SIGTERM": 0, "SIGSTOP": 3}
"""What is done to a worker, and the exit code that training then ends with; SIGTERM is ignored."""
SOON = 60.0
"""Seconds within which training must have ended."""


def hurt(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Each signal to a worker in the middle of an epoch, `count` times; then the same command."""
    del seed
    part = Part("workers", "processes that read images: killed, stopped")
    file = write_job("workers", place)
    file.write_text(file.read_text().replace("epochs: 3", "epochs: 12"))
    whole = run(["fit", file, "-q", "--out", "whole"], place=place)
    part.check("it runs undisturbed", whole.code == 0, str(whole))
    for name, code in ENDS.items():
        for number in range(count):
            folder = f"{name}-{number}"
            command = Command(["fit", file, "-q", "--out", folder], place=place)
            while command.signal_after(0, 0) and not _lines(place / folder):
                time.sleep(0.01)
            for worker in _children(command.pid)[:1]:
                os.kill(worker, signal.Signals[name])
            began = time.perf_counter()
            ended = command.wait()
            seconds = time.perf_counter() - began
            note(f"{folder}: {ended.code} after {seconds:.1f} s, {len(part.failures)} failures")
            part.check(f"{folder}: exit code", ended.code in (code, 0), str(ended))
            part.check(f"{folder}: soon", seconds < SOON, f"{seconds:.0f} s")
            part.check(f"{folder}: no orphans", not command.orphans(), "orphans")
            again = ["fit", file, "-q", "--out", folder, "--resume", "auto"]
            resumed = run(again, place=place)
            part.check(f"{folder}: the same command continues", resumed.code == 0, str(resumed))
            found = differences(place / folder, place / "whole")
            part.check(f"{folder}: same run", not found, "; ".join(found[:3]))
    part.numbers |= {"signals": len(ENDS) * count}
    return part


def _lines(run: Path) -> int:
    file = run / "metrics.jsonl"
    return len(file.read_bytes()) if file.is_file() else 0


def _children(pid: int) -> list[int]:
    """The processes that a process has started."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]
