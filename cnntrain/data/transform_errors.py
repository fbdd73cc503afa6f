"""What a transform refuses, said of its place and of its list."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class TransformError(ValueError):
    """A transform cannot do its work where it stands.

    Args:
        position: of the transform in its list, counted from 0.
        name: of the transform.
        reason: why.
    """

    def __init__(self, position: int, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.position = position
        self.name = name
        self.reason = reason


class ListError(ValueError):
    """A transform list cannot be obeyed.

    Args:
        split: `train` or `eval`: the list.
        error: of one of its transforms.
    """

    def __init__(self, split: str, error: TransformError) -> None:
        super().__init__(f"{error.name} in the transforms for {split}: {error.reason}")
        self.split = split
        self.position = error.position


@contextmanager
def in_list(split: str) -> Iterator[None]:
    """What a transform refuses is said of its list.

    Raises:
        ListError: in place of a TransformError.
    """
    try:
        yield
    except TransformError as error:
        raise ListError(split, error) from error


@contextmanager
def in_place(position: int, name: str) -> Iterator[None]:
    """What a transform refuses is said of its place."""
    try:
        yield
    except ValueError as error:
        raise TransformError(position, name, str(error)) from error
