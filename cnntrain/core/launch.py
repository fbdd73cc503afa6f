"""Which of several processes this one is, by the environment variables that torchrun sets.

SLURM's `srun` and other launchers set their own; docs/scale.md has the lines that translate them.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from cnntrain.core.errors import UsageError


@dataclass(frozen=True)
class Launch:
    """One of the processes that a launcher has started.

    Args:
        index: of this process, from 0 (`RANK`).
        count: of all processes (`WORLD_SIZE`).
        index_here: of this process on its machine (`LOCAL_RANK`).
        count_here: of the processes on this machine (`LOCAL_WORLD_SIZE`).
        attempt: how often torchrun has started all of them again.
    """

    index: int = 0
    count: int = 1
    index_here: int = 0
    count_here: int = 1
    attempt: int = 0


def launched() -> Launch:
    """What the environment says; one process where it says nothing.

    Raises:
        UsageError: a variable is not a number, or does not fit the others.
    """
    if "RANK" not in os.environ or _number("WORLD_SIZE", 1) == 1:
        return Launch()
    index, count = _number("RANK", 0), _number("WORLD_SIZE", 1)
    if index >= count:
        raise UsageError(
            f"RANK={index} does not fit WORLD_SIZE={count}: the first process has number 0",
            remedy="start the processes with torchrun",
        )
    return Launch(
        index,
        count,
        _number("LOCAL_RANK", index),
        _number("LOCAL_WORLD_SIZE", count),
        _number("TORCHELASTIC_RESTART_COUNT", 0),
    )


def refuse_several(what: str) -> None:
    """Refuse several processes for what only one does.

    Raises:
        UsageError: a launcher has started more than one.
    """
    count = launched().count
    if count > 1:
        raise UsageError(
            f"{what} works in one process, and {count} were started (WORLD_SIZE={count})",
            remedy="start it without torchrun; `cnntrain fit` is what several processes can do",
        )


def _number(name: str, usual: int) -> int:
    text = os.environ.get(name, "")
    if not text:
        return usual
    if not (text.isascii() and text.isdecimal()):
        raise UsageError(f"the environment has {name}={text!r}, which is not a number")
    return int(text)
