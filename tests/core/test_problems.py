"""How a problem reads, and how errors carry several of them."""

import pytest

from cnntrain.core.errors import (
    CheckpointError,
    CnntrainError,
    ConfigError,
    DataError,
    DiskError,
    DivergedError,
    MemoryExhaustedError,
    UsageError,
)
from cnntrain.core.problems import Place, Problem, near_match, suggestion


def test_render_with_source_and_caret() -> None:
    problem = Problem("no such key", Place("f.yaml", 3, 5, "\t a: b"), "remove it")
    assert problem.render() == "f.yaml:3:5: no such key; remove it\n    \t a: b\n    \t   ^"


@pytest.mark.parametrize(
    ("before", "cells"), [("a猫: ", 5), ("cafe\u0301: ", 6), ("\x1b: ", 6), ("", 0)]
)
def test_the_caret_is_below_its_column_on_a_terminal(before: str, cells: int) -> None:
    """A wide letter is two cells, a combining mark none, an escape character is shown as four."""
    problem = Problem("wrong", Place("f", 1, len(before) + 1, f"{before}b: 1"))
    assert problem.render().splitlines()[2] == f"    {' ' * cells}^"


def test_render_without() -> None:
    assert Problem("it is wrong").render() == "it is wrong"
    assert Problem("it is wrong", Place("f", 1, 1)).render() == "f:1:1: it is wrong"


@pytest.mark.parametrize(
    ("word", "options", "near"),
    [
        ("weigth_decay", ["weight_decay", "width"], "weight_decay"),
        ("Batch-Size", ["batch_size"], "batch_size"),
        # what is alike, twice, in all that is written: 2 * 6 / (11 + 6) = 0.71, 2 * 5 / 17 = 0.59
        ("kernel_size", ["kernel"], "kernel"),
        ("decay", ["weight_decay"], None),
        ("xyz", ["batch_size"], None),
        # one letter is wrong, missing or too many, or two are exchanged
        ("rl", ["name", "lr"], "lr"),
        ("wr", ["lr"], "lr"),
        ("a", ["as"], "as"),
        ("avs", ["as"], "as"),
        ("x", ["p"], None),
        ("xx", ["lr"], None),
        ("", ["a"], None),
        ("a", [], None),
    ],
)
def test_near_match(word: str, options: list[str], near: str | None) -> None:
    assert near_match(word, options) == near


def test_near_match_is_rather_none_that_is_there_already() -> None:
    assert near_match("cr", ["c1", "c3"], taken=["cr", "c1"]) == "c3"
    assert near_match("padding_", ["padding", "out"], taken=["padding", "padding_"]) == "padding"


def test_suggestion() -> None:
    assert suggestion("sdg", ["sgd", "adam"]) == "did you mean 'sgd'?"
    assert suggestion("lion", ["sgd", "adam"]) == "choose from sgd, adam"
    assert suggestion("lion", []) == "there are none here: remove it"


def test_errors_in_order_without_repetition() -> None:
    late, early = (Problem("a", Place("f", line, 1), "b") for line in (9, 2))
    error = ConfigError.of([late, early, late, Problem("without a place")])
    assert [p.place.line if p.place else 0 for p in error.problems] == [0, 2, 9]
    assert str(error) == "without a place\nf:2:1: a; b\nf:9:1: a; b"


def test_exit_codes() -> None:
    """As the documentation of the command line lists them."""
    kinds = [CnntrainError, ConfigError, DataError, CheckpointError, DivergedError]
    assert [kind.exit_code for kind in kinds] == [1, 2, 3, 4, 5]
    assert [k.exit_code for k in (MemoryExhaustedError, DiskError, UsageError)] == [6, 7, 2]
    assert str(DataError("gone", remedy="look")) == "gone; look"
