"""Negative controls: leave out a field of the state, and the comparison must notice."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from torturing.jobs import Note, differences, write_job
from torturing.part import Part
from torturing.processes import Command, call, run

STEP = {"cosine": 14, "plateau": 40, "no_workers": 6}
"""The steps after which each job is stopped; inside an epoch."""


def forget(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Stop runs in the middle, spoil one field of the checkpoint at a time, and resume."""
    del seed
    part = Part("controls", "one field of the saved state is spoilt: the comparison must see it")
    for name, step in STEP.items():
        file = write_job(name, place)
        words = ["fit", file, "-q", "--out"]
        run([*words, f"{name}-whole"], place=place)
        stopped = Command([*words, f"{name}-cut"], place=place, prepare=lambda n=step: _stop_at(n))
        part.check(f"{name} stops", (ended := stopped.wait()).code == 143, str(ended))
        _, listed = call(lambda n=name: "\n".join(_fields(_last(place / f"{n}-cut"))))
        fields = listed.split("\n")
        for field in ["", *fields[:count]]:
            folder = place / f"{name}-spoilt"
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(place / f"{name}-cut", folder)
            call(lambda f=field, path=folder: _spoil(_last(path), f))
            ended = run(["fit", "--resume", folder, "-q"], place=place)
            found = ended.code != 0 or differences(folder, place / f"{name}-whole")
            if field:
                part.check(f"{name}: without {field} it is noticed", bool(found))
            else:
                part.check(f"{name}: with all of it, nothing differs", not found, str(found)[:300])
            note(f"{name}: {field or 'nothing'} left out, {len(part.failures)} failures")
        part.numbers[name] = f"{len(fields)} fields"
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
    """By their dotted names, what a resumed run needs; each tensor of the network counts once."""
    from cnntrain.checkpoint import load

    state = load(file)
    found = []
    for part in ("model", "ema", "optimizer.buffers", "train", "random"):
        value: Any = state
        for key in part.split("."):
            value = value[key]
        found += [f"{part}/{key}" for key in value or ()]
    return found


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
