"""One item is always on its way, in the order in which they come."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from cnntrain.data.read_ahead import read_ahead


def test_the_same_items_in_the_same_order() -> None:
    assert list(read_ahead(iter(range(50)))) == list(range(50))
    assert list(read_ahead(iter(()))) == []


def test_the_next_one_is_read_while_one_is_used() -> None:
    read = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        yield 2
        read.set()
        yield 3

    found = read_ahead(items())
    assert [next(found), next(found)] == [1, 2]
    assert read.wait(10), "nothing is read before it is asked for"
    assert list(found) == [3]


def test_of_the_first_alone_nothing_else_is_read() -> None:
    asked: list[int] = []
    found = read_ahead(asked.append(number) or number for number in range(5))  # type: ignore[func-returns-value]
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert asked == [0]


def test_an_error_comes_in_its_place() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("the second")

    found = read_ahead(items())
    assert next(found) == 1
    with pytest.raises(ValueError, match="the second"):
        next(found)


def test_whoever_leaves_early_leaves_no_thread() -> None:
    asked: list[int] = []

    def items() -> Iterator[int]:
        for number in range(100):
            asked.append(number)
            yield number

    before = threading.active_count()
    found = read_ahead(items())
    assert [next(found), next(found)] == [0, 1]
    found.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(asked) <= 3
