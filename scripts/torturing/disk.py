"""Outputs that fail, one at a time: closed pipes, full disks, deleted folders."""

from __future__ import annotations

import builtins
import io
import os
import resource
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torturing.jobs import Note, differences, write_job
from torturing.part import Part
from torturing.processes import Command, Ended, run

JOB = "plateau"
WRITERS = ("train.log", "tfevents", "metrics.jsonl", "metrics.csv", "summary.json")


def fill(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Each output in turn goes to a full device, or to a reader that has left.

    Training must go on to its end with exit code 0 and the same network, except where a checkpoint
    cannot be written: then it ends with 7, and the run can be resumed.
    """
    del seed
    part = Part("disk", "closed pipes and full disks, one output at a time")
    file = write_job(JOB, place)
    whole = run(["fit", file, "--out", "whole"], place=place)
    part.check("it runs undisturbed", whole.code == 0, str(whole))

    def attempt(name: str, **others: Any) -> Ended:
        note(f"{name}, {len(part.failures)} failures")
        words = ["fit", file, "--out", _folder(name)]
        ended = Command(words, place=place, **others).wait()
        part.check(f"{name}: no traceback", not ended.traceback, str(ended))
        return ended

    for stream in ("stdout", "stderr"):
        for kind, opened in (("closed pipe", _closed_pipe), ("full device", _full_device)):
            name = f"{stream}, {kind}"
            target = opened()
            ended = attempt(name, **{stream: target})
            os.close(target)
            part.check(f"{name}: exit code 0", ended.code == 0, str(ended))
            _same_network(part, name, place)
    _reader_leaves(part, place, attempt)
    for writer in WRITERS:
        name = f"{writer}, full device"
        ended = attempt(name, prepare=lambda w=writer: _divert(w))
        part.check(f"{name}: exit code 0", ended.code == 0, str(ended))
        part.check(f"{name}: said", "No space left" in ended.err, str(ended))
        _same_network(part, name, place)
    ended = attempt("checkpoint, full device", prepare=lambda: _divert(".pt"))
    part.check("checkpoint, full device: exit code 7", ended.code == 7, str(ended))
    for size in range(1, min(count, 40) + 1):
        name = f"files of at most {1500 * size} bytes"
        ended = attempt(name, prepare=lambda n=size: _limit(1500 * n))
        part.check(f"{name}: 0 or 7", ended.code in (0, 7), str(ended))
        again = run(["fit", file, "--out", _folder(name), "--resume", "auto"], place=place)
        part.check(f"{name}: resumes with space", again.code == 0, str(again))
        _same_network(part, name, place)
    _deleted(part, place, file)
    part.numbers |= {"outputs": 5 + len(WRITERS) + 1, "sizes": min(count, 40)}
    return part


def _folder(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name)


def _same_network(part: Part, name: str, place: Path) -> None:
    found = [d for d in differences(place / _folder(name), place / "whole") if "checkpoints" in d]
    part.check(f"{name}: the same network", not found, "; ".join(found[:3]))


def _reader_leaves(part: Part, place: Path, attempt: Callable[..., Ended]) -> None:
    """`fit ... 2>&1 | head -2`: training continues to its end."""
    name = "both streams, a reader that leaves after two lines"
    reader, writer = os.pipe()
    head = subprocess.Popen(["head", "-2"], stdin=reader, stdout=subprocess.PIPE)
    os.close(reader)
    ended = attempt(name, stdout=writer, stderr=writer, prepare=lambda: os.close(writer))
    os.close(writer)
    shown, _ = head.communicate()
    part.check(f"{name}: exit code 0", ended.code == 0, str(ended))
    part.check(f"{name}: two lines were read", shown.count(b"\n") == 2, repr(shown))
    epochs = (place / _folder(name) / "metrics.csv").read_bytes()
    whole = (place / "whole" / "metrics.csv").read_bytes()
    part.check(f"{name}: all epochs", epochs.count(b"\n") == whole.count(b"\n"), repr(epochs))
    _same_network(part, name, place)


def _closed_pipe() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def _full_device() -> int:
    return os.open("/dev/full", os.O_WRONLY)


def _divert(part_of_name: str) -> None:
    """What is written to files of that name goes to a device that is full."""
    opened: Callable[..., Any] = io.open

    def instead(file: Any, mode: str = "r", *arguments: Any, **others: Any) -> Any:
        name = os.fspath(file) if not isinstance(file, int) else ""
        if part_of_name in Path(str(name)).name and any(letter in mode for letter in "wax+"):
            file, mode = "/dev/full", mode.replace("x", "w").replace("a", "w")
        return opened(file, mode, *arguments, **others)

    io.open = builtins.open = instead  # type: ignore[assignment]


def _limit(size: int) -> None:
    """No file may grow beyond that; writing more is an error, not a signal."""
    import signal

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def _deleted(part: Part, place: Path, file: Path) -> None:
    """What the run writes to is deleted under its hands."""
    for name in ("tb", "metrics.jsonl", "metrics.csv", "train.log"):
        command = Command(["fit", file, "--out", f"without-{name}"], place=place)
        target = place / f"without-{name}" / name
        while command.signal_after(0, 0) and not target.exists():
            pass
        if target.is_dir():
            shutil.rmtree(target, ignore_errors=True)  # the run may write to it at the same time
        else:
            target.unlink(missing_ok=True)
        ended = command.wait()
        part.check(f"{name} deleted: exit code 0", ended.code == 0, str(ended))
        part.check(f"{name} deleted: no traceback", not ended.traceback, str(ended))
