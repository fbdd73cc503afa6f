"""The numbers that a run file may leave open, and what counts until they are found."""

from __future__ import annotations

from collections.abc import Sequence

from cnntrain.config.schema import RunConfig
from cnntrain.config.train_section import AUTO
from cnntrain.core.errors import UsageError

BATCH_SIZE, RATE = "data.batch_size", "train.optimizer.lr"


def open_numbers(config: RunConfig) -> list[str]:
    """The keys whose value is `auto` and still has to be found."""
    found = [BATCH_SIZE] if config.data.batch_size == AUTO else []
    if config.train is not None and config.train.optimizer.lr == AUTO:
        found.append(RATE)
    return found


def refuse_open(config: RunConfig, *, doing: str) -> None:
    """Refuse numbers that are left open where several runs are to have the same.

    Raises:
        UsageError: with the keys.
    """
    if found := open_numbers(config):
        keys = " and ".join(f"{key}: {AUTO}" for key in found)
        given = " ".join(f"-s {key}=NUMBER" for key in found)
        message = f"{keys} may come to another number in each run, so it is not for {doing}"
        raise UsageError(message, remedy=f"`cnntrain fit` finds and notes it; then give {given}")


def is_filled_in(path: Sequence[str], old: object, new: object) -> bool:
    """Whether a run's value at a path is the number that its file left open."""
    numbers = isinstance(old, int | float) and not isinstance(old, bool)
    return numbers and new == AUTO and ".".join(path) in (BATCH_SIZE, RATE)
