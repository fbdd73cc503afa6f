"""Negative controls: leave out a field of the state, and the comparison must notice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from torturing.jobs import Note, differences, write_job
from torturing.part import Part
from torturing.processes import Command, call, run

STEP = {"cosine": 14, "plateau": 40, "no_workers": 6, "scaled": 22}
"""The steps after which each job is stopped; inside an epoch and a window of reports."""
PARTS = ("model", "ema", "optimizer.buffers", "train", "random", "scaler", "window")
CLOCK = {f"{part}/{name}" for part in ("train", "window")
         for name in ("seconds", "data_seconds", "run_seconds")}  # fmt: skip
"""Not compared: times differ from run to run."""
ALWAYS_EMPTY = {
    "random/cuda": "there is no GPU here",
}
"""What nothing can be left out of, and why. All else must be there in some job."""
OVERWRITTEN = {
    "train/lr": "of the last step; the next one sets it",
    "ema/batch_norm1.num_batches_tracked": "a whole number, which each step copies from the model",
    "window/grad_norm": "of the last step that has one, as the step of each report has",
}
"""What is not noticed within an epoch, and why."""


def forget(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Stop runs in the middle, spoil one field of the checkpoint at a time, and resume.

    Each field must be noticed in some job.
    """
    del seed
    part = Part("controls", "one field of the saved state is spoilt: the comparison must see it")
    noticed: dict[str, bool] = {}
    empty: set[str] = set()
    most = 0
    for name, step in STEP.items():
        file = write_job(name, place)
        words = ["fit", file, "-q", "--out"]
        run([*words, f"{name}-whole"], place=place)
        stopped = Command([*words, f"{name}-cut"], place=place, prepare=lambda n=step: _stop_at(n))
        part.check(f"{name} stops", (ended := stopped.wait()).code == 143, str(ended))
        _, listed = call(lambda n=name: "\n".join(_fields(_last(place / f"{n}-cut"))))
        found_fields = dict(line.split("\t") for line in listed.split("\n"))
        fields = [field for field, is_empty in found_fields.items() if is_empty == "False"]
        empty |= found_fields.keys() - fields
        most = max(most, len(fields))
        for field in ["", *fields[:count]]:
            folder = place / f"{name}-spoilt"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(place / f"{name}-cut", folder)
            call(lambda f=field, path=folder: _spoil(_last(path), f))
            ended = run(["fit", "--resume", folder, "-q"], place=place)
            found = ended.code != 0 or differences(folder, place / f"{name}-whole")
            if field:
                # the best epoch, for one, counts only where no later one is better
                noticed[field] = bool(found) or noticed.get(field, False)
            else:
                part.check(f"{name}: with all of it, nothing differs", not found, str(found)[:300])
            note(f"{name}: {field or 'nothing'} left out")
        part.numbers[name] = f"{len(fields)} fields"
    for field in sorted(noticed.keys() - OVERWRITTEN.keys()):
        part.check(f"without {field} it is noticed in some job", noticed[field])
    if most <= count:
        never = sorted(empty - noticed.keys() - ALWAYS_EMPTY.keys())
        part.check("each field is there in some job", not never, str(never))
    return part


def _last(run: Path) -> Path:
    return run / "checkpoints" / "last.pt"


def _stop_at(step: int) -> None:
    import os
    import signal

    from torch.optim.optimizer import register_optimizer_step_post_hook

    left = iter(range(step - 1, -1, -1))

    def stop(*_: Any) -> None:
        if next(left, None) == 0:
            os.kill(os.getpid(), signal.SIGTERM)

    register_optimizer_step_post_hook(stop)


def _fields(file: Path) -> list[str]:
    """By their dotted names, what a resumed run needs, and whether each is empty; tabs between.

    Each tensor of the network counts once. The state that a rollback goes back to is not among
    them: it counts only where training diverges (see tests/train/test_skipping.py).
    """
    from cnntrain.checkpoint import load

    state = load(file)
    found = []
    for part in PARTS:
        value: Any = state
        for key in part.split("."):
            value = value[key]
        for key, each in (value or {}).items():
            if f"{part}/{key}" not in CLOCK:
                found.append(f"{part}/{key}\t{_is_empty(each)}")
    return found


def _is_empty(value: Any) -> bool:
    """Whether there is nothing that could be another value."""
    import torch

    if isinstance(value, torch.Tensor):
        return not value.numel()
    return value is None or value == []


def _spoil(file: Path, field: str) -> None:
    """Make a value another one, as if it had not been saved."""
    import torch

    from cnntrain.checkpoint import load, save

    state: Any = load(file)
    if field:
        part, _, key = field.partition("/")
        owner = state
        for word in part.split("."):
            owner = owner[word]
        owner[key] = _other(owner[key])
    del torch
    save(file, state)


def _other(value: Any) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return value.roll(1) + 1 if value.numel() else value
    if isinstance(value, dict):
        return {key: _other(item) for key, item in value.items()}
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    return value
