"""The kinds of error that a user can meet; each kind has the exit code of the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Self

from cnntrain.core.problems import Place, Problem


class CnntrainError(Exception):
    """Base of every error that is reported to the user in one message, without a traceback.

    Args:
        message: what is wrong, one sentence.
        remedy: what to do about it.
        place: where it stands in a file of the user's.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str = "", place: Place | None = None) -> None:
        self.problems: tuple[Problem, ...] = (Problem(message, place, remedy),)
        super().__init__(self.problems[0].render())

    def __reduce__(self) -> tuple[Any, ...]:
        """For another process, whatever the kind's own arguments are."""
        return type(self).__new__, (type(self),), self.__dict__

    def __setstate__(self, state: dict[str, Any] | None) -> None:
        """From another process: what was rendered there must not be rendered once more."""
        super().__setstate__(state)
        self.args = ("\n".join(problem.render() for problem in self.problems),)

    @classmethod
    def of(cls, problems: Sequence[Problem]) -> Self:
        """One error for several problems, in the order of their places."""
        assert problems
        ordered = sorted(problems, key=_position)
        error = cls(ordered[0].message, remedy=ordered[0].remedy, place=ordered[0].place)
        error.problems = tuple(dict.fromkeys(ordered))
        error.args = ("\n".join(problem.render() for problem in error.problems),)
        return error


class UsageError(CnntrainError):
    """The command line cannot be obeyed as it was given."""

    exit_code = 2


class ConfigError(CnntrainError):
    """A run file or an architecture file is wrong; holds all problems that were found."""

    exit_code = 2


def _position(problem: Problem) -> tuple[str, int, int]:
    place = problem.place
    return (place.file, place.line, place.column) if place else ("", 0, 0)


class PluginError(CnntrainError):
    """The code of a plugin raised an exception."""

    exit_code = 2


class DataError(CnntrainError):
    """The images or labels are missing, unreadable or do not fit."""

    exit_code = 3


class CheckpointError(CnntrainError):
    """A checkpoint is missing, damaged or does not fit."""

    exit_code = 4


class DivergedError(CnntrainError):
    """The loss is no longer a finite number."""

    exit_code = 5


class MemoryExhaustedError(CnntrainError):
    """The device's or the machine's memory is used up."""

    exit_code = 6


class DiskError(CnntrainError):
    """A file could not be written."""

    exit_code = 7


class ProcessLostError(CnntrainError):
    """Another of the processes that train together has ended, or cannot be reached."""

    exit_code = 8
