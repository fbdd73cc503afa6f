"""SIGKILL at random instants: the same command, again and again, until the run is done."""

from __future__ import annotations

import random
import shutil
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from torturing.jobs import JOBS, Note, amounts, differences, write_job
from torturing.part import Part
from torturing.phases import EVALUATING, NAMES, SAVING, STARTING, Phases
from torturing.processes import Command, run

MOST = 3
"""Kills of one run; then it may come to its end."""
PROGRAM = 5
"""Every so many runs, each command is a Python of its own, which can be killed as it imports."""
LEAST = 0.025
"""The part of the kills that each phase must have had; of a hundred kills and more."""


@dataclass(frozen=True)
class Whole:
    """A run that nothing happened to: its folder, its length, and its phases."""

    folder: Path
    seconds: float
    phases: Phases


@dataclass(frozen=True)
class Attempt:
    """A run to be killed.

    Args:
        words: of the command, the same each time.
        place: the folder in which it is called.
        whole: the same run undisturbed.
        start: seconds that its start takes longer than a fork's; 0 for forks.
    """

    name: str
    words: tuple[str | Path, ...]
    place: Path
    whole: Whole
    start: float

    def begin(self, phases: Phases) -> Command:
        """The command."""
        prepare = None if self.start else phases.watch
        return Command(self.words, place=self.place, prepare=prepare, is_program=bool(self.start))

    def folder(self) -> Path:
        """That of the run: the one which was named, or the only one with an end."""
        named = self.place / self.name
        ended = [path.parent for path in self.place.glob(f"runs/*/{'[0-9]' * 8}-*/summary.json")]
        return named if named.is_dir() or len(ended) != 1 else ended[0]


def kill(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Kill runs of every job in turn, one to three times each, until `count` kills are done.

    An instant is drawn uniformly from the length of the undisturbed run, or, for two kills of
    three, from one of the phases. What a killed process leaves running is not waited for.
    """
    part = Part("kills", "SIGKILL at random instants, then the same command again")
    draw = random.Random(seed)
    wholes: dict[str, Whole] = {}
    start = 0.0
    where: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    compared: Counter[str] = Counter()
    while where.total() < count or kinds.total() < count // 2:
        number = kinds.total()
        name = list(JOBS)[number % len(JOBS)]
        if name not in wholes:
            wholes[name] = _undisturbed(part, name, place)
        is_program = number % PROGRAM == PROGRAM - 1
        start = start or (_start_of_program(part, place, wholes) if is_program else 0.0)
        attempt = _attempt(name, number, place, wholes[name], start if is_program else 0.0)
        killed = _kill_one(part, attempt, draw, most=count - where.total())
        where.update(killed)
        kinds[name] += 1
        found = differences(attempt.folder(), attempt.whole.folder)
        part.check(f"{attempt.name} is the undisturbed run", not found, "; ".join(found[:3]))
        compared.update(amounts(attempt.whole.folder))
        if not found:
            shutil.rmtree(attempt.folder())
        note(f"{where.total()} kills in {number + 1} runs, {len(part.failures)} failures")
    for phase in NAMES if count >= 100 else ():
        met = sum(times for what, times in where.items() if what.startswith(phase))
        part.check(f"killed in {phase}", met >= LEAST * count, f"{met} of {count}")
    part.numbers |= {
        "kills": where.total(),
        "runs": kinds.total(),
        "kills by phase": dict(sorted(where.items())),
        "runs by kind": dict(kinds),
        **{f"{what} compared": number for what, number in compared.items()},
    }
    return part


def _undisturbed(part: Part, name: str, place: Path) -> Whole:
    phases, folder = Phases(), place / f"{name}-undisturbed"
    words = ["fit", write_job(name, place), "--out", folder, "--resume", "auto", "-q"]
    ended = run(words, place=place, prepare=phases.watch)
    part.check(f"{name} runs undisturbed", ended.code == 0, str(ended))
    return Whole(folder, ended.seconds, phases)


def _start_of_program(part: Part, place: Path, wholes: dict[str, Whole]) -> float:
    """Seconds that a Python of its own needs before it is where a fork begins."""
    name = next(iter(wholes))
    words = ["fit", place / f"{name}.yaml", "--out", place / "program", "-q"]
    ended = run(words, place=place, is_program=True)
    part.check("it runs undisturbed as a program", ended.code == 0, str(ended))
    found = differences(place / "program", wholes[name].folder)
    part.check("a program's run is a fork's", not found, "; ".join(found[:3]))
    return max(0.1, ended.seconds - wholes[name].seconds)


def _attempt(name: str, number: int, place: Path, whole: Whole, start: float) -> Attempt:
    """Every third run has no `--out`: it must be found again among the runs of its name."""
    folder = place / f"{name}-{number}"
    words: tuple[str | Path, ...] = ("fit", place / f"{name}.yaml", "--resume", "auto", "-q")
    if number % 3 != 2:
        return Attempt(folder.name, (*words, "--out", folder), place, whole, start)
    folder.mkdir()
    return Attempt(folder.name, words, folder, whole, start)


def _kill_one(part: Part, attempt: Attempt, draw: random.Random, *, most: int) -> list[str]:
    """Kill a run, and let it end: in which phases it was killed."""
    phases, killed, commands = Phases(), [], []
    wanted = min(draw.randint(1, MOST), most)
    while True:
        command = attempt.begin(phases)
        commands.append(command)
        if len(killed) < wanted:
            _signal(command, attempt, phases, draw, nth=len(commands))
        ended = command.wait()
        if ended.code != -9:
            break
        killed.append(_phase(attempt, phases, nth=len(commands)))
    name = f"{attempt.name}, killed in {', '.join(killed)}"
    part.check(f"{name}: ends by the same command", ended.code == 0, str(ended))
    left = [pid for command in commands for pid in command.orphans()]
    part.check(f"{name}: no process stays", not left, str(left))
    return killed


def _signal(
    command: Command, attempt: Attempt, phases: Phases, draw: random.Random, *, nth: int
) -> None:
    whole = attempt.whole
    if attempt.start or draw.random() < 1 / 3:
        command.signal_after(draw.uniform(0, 1.02 * (whole.seconds + attempt.start)))
        return
    phase = draw.randrange(len(NAMES))
    entries = 1
    if phase in (EVALUATING, SAVING):  # of a resumed run, fewer are to come
        entries = draw.randint(1, max(1, whole.phases.entries(phase) // nth))
    delay = draw.uniform(0, whole.phases.seconds(phase))
    if command.wait_until(lambda: phase == STARTING or phases.entries(phase) >= entries):
        command.signal_after(delay, since_now=True)


def _phase(attempt: Attempt, phases: Phases, *, nth: int) -> str:
    begun = "start-up" if nth == 1 else "start-up, resuming"
    if not attempt.start:
        return begun if phases.now == STARTING else NAMES[phases.now]
    folders = [attempt.place / attempt.name, *attempt.place.glob("runs/*/*")]
    if not any((folder / "checkpoints" / "last.pt").is_file() for folder in folders):
        return "start-up, of a whole program"
    return "later, of a whole program"
