"""What comes next is read by a thread while what came before is used."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def read_ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items in the same order; from the second on, the next one is always on its way.

    An error is raised where its item would have come. Whoever leaves early waits for the one that
    is on its way, and for no other. None ends the items.
    """
    first = next(items, None)
    if first is None:
        return
    yield first  # often the only one that is wanted
    with ThreadPoolExecutor(1, thread_name_prefix="read ahead") as thread:
        coming = thread.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = thread.submit(next, items, None)
            yield item
