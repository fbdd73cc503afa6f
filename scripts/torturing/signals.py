"""SIGINT, SIGTERM and SIGHUP, once and twice, in each phase of a run, and in other commands.

Each is sent to all processes of the command, as a terminal, systemd and Slurm do.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from torturing.jobs import Note, differences, write_job
from torturing.lanes import in_lanes
from torturing.part import Part
from torturing.phases import replace
from torturing.processes import Command, Ended, run

SIGNALS = {"SIGINT": 130, "SIGTERM": 143, "SIGHUP": 129}
"""The exit code after a stop."""
PHASES = {
    "reading the run file": ("cnntrain.config.validate:validate", 1),
    "opening the data": ("cnntrain.data.loaders:open_data", 1),
    "building the network": ("cnntrain.assemble.networks:make_network", 1),
    "making the folder": ("cnntrain.runs.folder:create_run", 1),
    "before the first checkpoint": ("cnntrain.fit.observers:make_observers", 1),
    "first batch": ("cnntrain.train.step:forward_backward", 1),
    "in the middle": ("cnntrain.train.step:forward_backward", 6),
    "evaluation": ("cnntrain.train.evaluation:evaluate", 1),
    "writing a checkpoint": ("torch:save", 2),
    "closing": ("cnntrain.record.summary:json_text", 1),
}
"""A function, and at which of its calls the signal comes."""
OTHERS = {
    "folds": (
        ["fit", "plateau.yaml", "--folds", "2", "-q", "--out", "OUT"],
        *PHASES["in the middle"],
    ),
    "eval": (["eval", "WHOLE"], *PHASES["evaluation"]),
    "predict": (["predict", "WHOLE", "pictures/test"], "cnntrain.model.predict:_classify", 1),
    "export": (
        ["export", "WHOLE", "--to", "safetensors", "--out", "OUT.safetensors"],
        "cnntrain.export.export:_write",
        1,
    ),
}
"""Commands in which nothing is saved by a signal, or something else than one run."""
STARTS = ("typer", "cnntrain.cli.commands", "torch", "torch.utils.data", "cnntrain.fit.fit")
"""Imports at which the real program gets a signal."""
SOON = 10.0
"""Seconds within which it must have ended, on a machine that does nothing else."""
JOBS = ("plateau", "workers")


@dataclass(frozen=True)
class Case:
    """What is sent, where: a phase of a fit, another command, or an import at start-up."""

    where: str
    name: str
    times: int
    number: int

    @property
    def job(self) -> str:
        return JOBS[self.number % len(JOBS)]

    def __str__(self) -> str:
        return f"{self.job}, {self.name} x{self.times}, {self.where}, {self.number}"


def send(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Each signal, once and twice, in each phase, `count` times; elsewhere a third of that."""
    del seed
    part = Part("signals", "SIGINT, SIGTERM, SIGHUP, once and twice, in ten phases and at start-up")
    for job in JOBS:
        whole = run(["fit", write_job(job, place), "--out", f"{job}-whole"], place=place)
        part.check(f"{job} runs undisturbed", whole.code == 0, str(whole))
    less = -(-count // 3)
    places = dict.fromkeys(PHASES, count) | dict.fromkeys((*OTHERS, *STARTS), less)
    cases = [
        Case(where, name, times, number)
        for where, most in places.items()
        for name in SIGNALS
        for times in (1, 2)
        for number in range(most)
    ]
    found = in_lanes(partial(_attempt, place), cases, part=part, note=note)
    codes = Counter(str(code) for code, _ in found)
    seconds = sorted(each for _, each in found)
    part.numbers |= {"signals": len(cases), "ended with": dict(sorted(codes.items())),
                     "median seconds": round(seconds[len(seconds) // 2], 2),
                     "longest seconds": round(seconds[-1], 1),
                     "load for each core at the end": round(_load(), 1)}  # fmt: skip
    return part


def _attempt(place: Path, case: Case, part: Part) -> tuple[int | None, float]:
    """One case: its exit code, and seconds from the signal to the end."""
    own = place / f"lane{os.getpid()}"
    own.mkdir(exist_ok=True)
    whole, folder, sent = place / f"{case.job}-whole", own / "run", own / "sent"
    shutil.rmtree(folder, ignore_errors=True)
    sent.unlink(missing_ok=True)
    for shared in ("pictures", *(f"{job}.yaml" for job in JOBS)):
        if not (own / shared).exists():
            (own / shared).symlink_to(place / shared)
    fit = ["fit", f"{case.job}.yaml", "--out", "run"]
    if case.where in STARTS:
        ended, orphans = _start(own, case, fit)
    else:
        words, function, at = OTHERS.get(case.where, (fit, *PHASES.get(case.where, ("", 0))))
        named = {"OUT": "run", "WHOLE": str(whole),
                 "OUT.safetensors": f"{time.time_ns()}.safetensors"}  # fmt: skip
        command = Command([named.get(word, word) for word in words], place=own,
                          prepare=lambda: _hook(function, at, case))  # fmt: skip
        ended = command.wait()
        orphans = command.orphans()
    took = time.time() - sent.stat().st_mtime if sent.exists() else 0.0
    part.check(f"{case}: the place is met", sent.exists(), str(ended))
    part.check(f"{case}: exit code", ended.code in (SIGNALS[case.name], 0), str(ended))
    part.check(f"{case}: soon", took < SOON * max(_load(), 1), f"{took:.1f} s")
    part.check(f"{case}: no traceback", not ended.traceback, str(ended))
    part.check(f"{case}: no orphans", not orphans, str(orphans))
    if case.where in PHASES:
        resumed = run([*fit, "--resume", "auto", "-q"], place=own)
        if part.check(f"{case}: the same command continues", resumed.code == 0, str(resumed)):
            found = differences(folder, whole)
            part.check(f"{case}: same run", not found, "; ".join(found[:3]))
    return ended.code, took


def _load() -> float:
    """How many processes want each core: so many times longer everything takes."""
    return os.getloadavg()[0] / (os.cpu_count() or 1)


def _hook(place: str, at: int, case: Case) -> None:
    """Have the process send the signals to its group when that function is called."""
    calls = iter(range(1, 1_000_000))

    def changed(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **others: Any) -> Any:
            if next(calls) == at:
                Path("sent").touch()
                for _ in range(case.times):
                    os.killpg(os.getpgrp(), signal.Signals[case.name])
                    time.sleep(0)  # Python handles it here
            return original(*arguments, **others)

        return wrapped

    replace(place, changed)


AT_IMPORT = """
import os, signal, sys
class At:
    def find_spec(self, name, path, target=None):
        if name == MODULE and self in sys.meta_path:
            sys.meta_path.remove(self)
            open("sent", "w").close()
            for _ in range(TIMES):
                os.killpg(os.getpgrp(), signal.SIGNAL)
sys.meta_path.insert(0, At())
from cnntrain.cli.app import main
main()
"""


def _start(own: Path, case: Case, words: list[str]) -> tuple[Ended, list[int]]:
    """The real program, while it imports."""
    program = AT_IMPORT.replace("MODULE", repr(case.where)).replace("SIGNAL", case.name)
    program = program.replace("TIMES", str(case.times))
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-c", program, *words], cwd=own, text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               start_new_session=True)  # fmt: skip
    try:
        out, err = process.communicate(timeout=120)
        code: int | None = process.returncode
    except subprocess.TimeoutExpired:
        process.kill()
        out, err, code = "", "hangs", None
    return Ended(tuple(words), code, out, err, time.perf_counter() - began), []
