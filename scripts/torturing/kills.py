"""SIGKILL at random instants: the same command, again and again, until the run is done."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from torturing.jobs import JOBS, Note, differences, write_job
from torturing.part import Part
from torturing.processes import Command, run

TRIES = 30
"""Commands after which a run counts as one that never ends."""


def kill(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Kill runs of every job in turn, about twice each, until `count` kills are done.

    An instant is drawn uniformly from the length of the undisturbed run, start-up and closing phase
    included, for a third of the kills from its last fifth, where checkpoint and test are.
    """
    part = Part("kills", "SIGKILL at random instants, then the same command again")
    draw = random.Random(seed)
    lengths: dict[str, float] = {}
    for name in JOBS:
        file = write_job(name, place)
        whole = run(_words(file, f"{name}-undisturbed"), place=place)
        part.check(f"{name} runs undisturbed", whole.code == 0, str(whole))
        lengths[name] = whole.seconds
    where: Counter[str] = Counter()
    kills = runs = 0
    while kills < count:
        name = list(JOBS)[runs % len(JOBS)]
        folder = f"{name}-{runs}"
        for number in range(TRIES):
            command = Command(_words(place / f"{name}.yaml", folder), place=place)
            # a resumed run is shorter: what is left of it is not known, so nothing is waited for
            low = 0.8 if draw.random() < 1 / 3 else 0.0
            instant = draw.uniform(low, 1.05) * lengths[name]
            killed = number < 4 and kills < count and command.signal_after(instant)
            ended = command.wait()
            if not killed or ended.code == 0:
                break
            kills += 1
            where[_phase(place / folder)] += 1
            part.check(f"{folder}: no process stays", not command.orphans(), "orphans")
        part.check(f"{folder} ends by the same command", ended.code == 0, str(ended))
        found = differences(place / folder, place / f"{name}-undisturbed")
        part.check(f"{folder} is the undisturbed run", not found, "; ".join(found[:3]))
        runs += 1
        note(f"{kills} kills in {runs} runs, {len(part.failures)} failures")
    part.numbers |= {"kills": kills, "runs": runs, "killed in": dict(sorted(where.items()))}
    return part


def _words(file: Path, folder: str) -> list[str | Path]:
    return ["fit", file, "--out", folder, "--resume", "auto", "-q"]


def _phase(run: Path) -> str:
    """How far the run was, by what it left."""
    if not (run / "config.yaml").is_file():
        return "start-up"
    if any((run / "checkpoints").glob("*.tmp")):
        return "writing a checkpoint"
    rows = (run / "metrics.jsonl").read_text() if (run / "metrics.jsonl").is_file() else ""
    epochs = rows.count('"type": "epoch"')
    if epochs == 0:
        return "first epoch"
    last = rows.count("\n") and '"split": "' in rows.splitlines()[-1]
    if last:
        return "after an evaluation"
    return "later epochs"
