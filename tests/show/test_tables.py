"""Tables of text, written out by hand."""

from __future__ import annotations

from cnntrain.show.tables import columns, markdown

ROWS = [["name", "n", "%", ""], ["a", "12", "9", "end"], ["total", "120", "10", ""]]


def test_columns() -> None:
    assert columns(ROWS, right=range(1, 3)).splitlines() == [
        "name     n   %",
        "a       12   9  end",
        "total  120  10",
    ]
    assert columns([]) == ""


def test_rules_and_columns_that_are_close() -> None:
    assert columns(ROWS, right=[1, 2], close=[2], rules=[1, 2]).splitlines() == [
        "name     n  %",
        "------------------",
        "a       12  9  end",
        "------------------",
        "total  120 10",
    ]


def test_letters_that_are_wide_or_have_no_width() -> None:
    """On a terminal: East Asian Width W (Unicode, annex 11) is two cells, a combining mark none."""
    assert columns(
        [["猫", "1", "|"], ["cafe\u0301", "12", "|"], ["👍🦊", "3", "|"]], right=[1]
    ).split("\n") == ["猫     1  |", "cafe\u0301  12  |", "👍🦊   3  |"]
    assert columns([["n", "x"], ["1", "犬猫"]], right=[1], rules=[1]).split("\n") == [
        "n     x",
        "-------",
        "1  犬猫",
    ]


def test_markdown() -> None:
    assert markdown(ROWS[:2], right=[1]).splitlines() == [
        "| name | n | % |  |",
        "| :-- | --: | :-- | :-- |",
        "| a | 12 | 9 | end |",
    ]


def test_a_name_does_not_break_its_row() -> None:
    rows = [["name", "n"], ["a\nb\x1b[2J", "1"]]
    assert columns(rows).splitlines() == ["name         n", "a\\nb\\x1b[2J  1"]
    assert len(markdown(rows).splitlines()) == 3
