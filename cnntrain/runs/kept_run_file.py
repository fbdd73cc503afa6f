"""A run file that a run has kept is not the user's: what is wrong with it concerns the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cnntrain.core.choices import CHOICES
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.core.problems import Problem

_UNKNOWN = ("unknown layer or block '", *(f"unknown {each.kind} '" for each in CHOICES.values()))


@contextmanager
def kept_in(path: Path, overrides: Sequence[str] = ()) -> Iterator[None]:
    """Turn a ConfigError about a run file that a run has kept into a CheckpointError.

    Args:
        path: what the places of its values call it: a checkpoint, or config.yaml.
        overrides: of its values; where there are some, they may be what is wrong, unless a name is
            unknown.
    """
    try:
        yield
    except ConfigError as error:
        kept = all(_is_in(problem, path) for problem in error.problems)
        unknown = any(problem.message.startswith(_UNKNOWN) for problem in error.problems)
        if not kept or (overrides and not unknown):
            raise
        what = "asks for what this cnntrain does not have" if unknown else "cannot be used here"
        remedy = "update cnntrain, if a newer version wrote it"
        if unknown:
            remedy = f"name the plugin that it comes from (--plugin FILE), or {remedy}"
        elif path.suffix != ".pt":
            remedy = "put a copy of it there, or name a checkpoint, which holds the run file too"
        problems = (Problem(f"the run file in {path} {what}", None, remedy), *error.problems)
        raise CheckpointError.of(problems) from error


def _is_in(problem: Problem, path: Path) -> bool:
    if problem.place is None:
        return str(path) in problem.message
    return problem.place.file == str(path)
