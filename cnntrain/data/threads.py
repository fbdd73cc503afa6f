"""Many small jobs in threads: Pillow decodes without holding the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
S = TypeVar("S")

_CHUNK = 1024
"""Jobs handed out at once: bounds the memory for a million files."""


def in_threads(function: Callable[[S], T], items: Sequence[S]) -> Iterator[T]:
    """The function of each item, in order; an error ends it after the jobs that are under way."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(items), _CHUNK):
            yield from pool.map(function, items[start : start + _CHUNK])
