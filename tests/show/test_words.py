"""Numbers and lists as people read them."""

from __future__ import annotations

from cnntrain.show.words import (
    clock_time,
    counted,
    listed,
    percent,
    quantity,
)


def test_numbers_for_people() -> None:
    assert [percent(0.0123), percent(None), percent(1.0, places=0)] == ["1.23 %", "-", "100 %"]
    assert [quantity(7.54), quantity(12_345.6)] == ["7.5", "12,346"]
    assert [clock_time(s) for s in (5.21, 59.96, 187, 7_387)] == [
        "5.2 s",
        "1:00 min",
        "3:07 min",
        "2:03:07 h",
    ]


def test_things_are_counted() -> None:
    assert [counted(number, "epoch") for number in (0, 1, 1438)] == [
        "0 epochs", "1 epoch", "1,438 epochs",
    ]  # fmt: skip
    assert counted(2, "batch", "batches") == "2 batches"


def test_a_long_list_is_cut() -> None:
    assert listed(["a", "b", "c"]) == "a, b, c"
    assert listed(["a", "b", "c", "d", "e"]) == "a, b, c and 2 more"
    assert listed([1, 2], most=1) == "1 and 1 more"
    assert listed([]) == "none"
