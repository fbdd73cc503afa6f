"""SIGKILL at each operation of a run that changes a file: write, fsync, rename, link, removal."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from torturing.controls import _stop_at
from torturing.counting import Counting
from torturing.jobs import Note, amounts, differences, write_job
from torturing.part import Part
from torturing.processes import Command, run

JOB, EPOCHS, CUT = "cosine", 2, 22
"""Which run, and the step, of 24, at which the one that is resumed was stopped."""


@dataclass(frozen=True)
class Case:
    """An operation to die at: of a run that begins or that is resumed; in the middle of a write."""

    resumed: bool
    number: int
    torn: bool = False

    def __str__(self) -> str:
        kind = "resumed" if self.resumed else "begun"
        return f"{kind}, {'in the middle of' if self.torn else 'before'} operation {self.number}"


def kill_at_each(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Kill a run at `count` of its operations, all of them if there are no more.

    Before each operation, and in the middle of each write; of a run that begins, and of one that
    was stopped inside an epoch and is resumed. Then the same command, and the comparison. Without
    a C compiler, this part is left out.
    """
    part = Part("operations", "SIGKILL at each write, fsync, rename, link, removal of a run")
    counting = Counting()
    if not counting.is_there:
        part.numbers["left out"] = "no C compiler"
        return part
    file = write_job(JOB, place)
    words = ["fit", file, "--epochs", str(EPOCHS), "--resume", "auto", "-q", "--out"]
    whole = run([*words, "undisturbed"], place=place)
    part.check("it runs undisturbed", whole.code == 0, str(whole))
    stopped = Command([*words, "stopped"], place=place, prepare=lambda: _stop_at(CUT)).wait()
    part.check("it stops", stopped.code == 143, str(stopped))
    cases = []
    for resumed in (False, True):
        _begin(place, "counted", resumed=resumed)
        run([*words, "counted"], place=place, prepare=lambda: counting.arm(0))
        part.numbers[f"operations{' of a resumed run' * resumed}"] = counting.total()
        cases += [Case(resumed, number) for number in range(1, counting.total() + 1)]
        cases += [Case(resumed, number, torn=True) for number in counting.writes()]
    if count < len(cases):
        cases = random.Random(seed).sample(cases, count)
    died: Counter[str] = Counter()
    for done, case in enumerate(cases):
        died[_die(part, place, words, case, counting)] += 1
        note(f"{done + 1} of {len(cases)} operations, {len(part.failures)} failures")
    compared = amounts(place / "undisturbed")
    part.numbers |= {
        "kills": died.total(),
        "killed at": dict(died.most_common()),
        **{f"{what} compared": number * died.total() for what, number in compared.items()},
    }
    return part


def _die(part: Part, place: Path, words: list[str | Path], case: Case, counting: Counting) -> str:
    """Kill a run at an operation, and repeat the command; the operation's name."""
    folder = "run"
    _begin(place, folder, resumed=case.resumed)
    killed = run(
        [*words, folder], place=place, prepare=lambda: counting.arm(case.number, torn=case.torn)
    )
    what = counting.what().replace(str(place / folder), "")
    part.check(f"{case}, {what}: is met", killed.code == -9, str(killed))
    ended = run([*words, folder], place=place)
    if part.check(f"{case}, {what}: it resumes", ended.code == 0, str(ended)):
        found = differences(place / folder, place / "undisturbed")
        part.check(f"{case}, {what}: same run", not found, "; ".join(found[:3]))
    return f"{what.partition(' ')[0]}{', in the middle' * case.torn}"


def _begin(place: Path, folder: str, *, resumed: bool) -> None:
    """The place of a new run, or a copy of the stopped one."""
    shutil.rmtree(place / folder, ignore_errors=True)
    if resumed:
        shutil.copytree(place / "stopped", place / folder)
