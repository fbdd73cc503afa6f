"""Which rows of the table learn: shares that add up, and their words written out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.arch.build import build
from cnntrain.arch.plan import Plan
from cnntrain.arch.table import Learning, Share, as_data, frozen_at_first, joined, rows
from cnntrain.arch.table_text import as_markdown, as_text, words

RESNET = Path(__file__).parents[2] / "configs" / "archs" / "resnet18.yaml"


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((), ""),
        ((Share(1, 1.0, 9),), "yes"),
        ((Share(None, 0.0, 9),), "no"),
        ((Share(1, 0.1, 9),), "x 0.1"),
        ((Share(1, 0.1, 9), Share(1, 0.01, 9), Share(1, 0.05, 9)), "x 0.01-0.1"),
        ((Share(3, 1.0, 9),), "from 3"),
        ((Share(3, 0.5, 9),), "from 3, x 0.5"),
        ((Share(1, 1.0, 9), Share(None, 0.0, 9)), "in part"),
        ((Share(2, 1.0, 9), Share(3, 1.0, 9)), "in part"),
    ],
)
def test_words(found: tuple[Share, ...], expected: str) -> None:
    assert words(found) == expected


def test_shares_add_up(planned: Callable[..., Plan]) -> None:
    plan = planned("layers: [{conv: {out: 2}, as: a}, {conv: {out: 2}, as: ab}, relu]")
    learning = {
        "a.weight": Share(None, 0.0, 6),
        "a.bias": Share(1, 1.0, 2),
        "ab.weight": Share(1, 1.0, 100),
        "a.inner.weight": Share(1, 1.0, 3),
        "a.inner.bias": Share(2, 0.5, 1),
    }
    found = rows(plan, learning=learning)[0].learns
    assert found == (Share(1, 1.0, 5), Share(2, 0.5, 1), Share(None, 0.0, 6))
    assert frozen_at_first(found) == 7
    assert joined([*found, *found]) == tuple(
        Share(s.from_epoch, s.lr_factor, 2 * s.parameters) for s in found
    )
    # without a word of what learns, all of it does: 2 filters of 3x3x3 and their offsets
    assert [row.learns for row in rows(plan)[::2]] == [(Share(1, 1.0, 2 * 27 + 2),), ()]


def learning_of(plan: Plan) -> Learning:
    """conv1 and conv2_x at rest, the second block of conv3_x from epoch 3 on, fc at full rate."""

    def learns(name: str, size: int) -> Share:
        if name.startswith(("conv1.", "conv2_x.")):
            return Share(None, 0.0, size)
        factor = 1.0 if name.startswith("fc.") else 0.1
        return Share(3 if name.startswith("conv3_x.block2.") else 1, factor, size)

    net = build(plan, device="meta")
    return {name: learns(name, p.numel()) for name, p in net.named_parameters()}


def test_in_the_table(shipped: Callable[[Path], Plan]) -> None:
    plan = shipped(RESNET)
    text = as_text(plan, depth=1, learning=learning_of(plan))
    found = {line.split()[0]: line for line in text.splitlines() if line}
    marks = {"conv1": "no", "conv2_x": "no", "conv3_x": "in part", "conv4_x": "x 0.1", "fc": "yes"}
    assert found["layer"].split()[-1] == "learns"
    for name, mark in marks.items():
        assert found[name].endswith(f" {mark}"), name
    # conv1 64*3*7*7 + 2*64; conv2_x 4 * (64*64*9 + 2*64); conv3_x.block2 2 * (128*128*9 + 2*128)
    still = 9536 + 4 * 36992 + 2 * 147712
    assert f"of which {still:,} are frozen in the first epoch" in text
    data = as_data(plan, learning=learning_of(plan))
    assert data["frozen_parameters"] == still
    table = {row["name"]: row["learns"] for row in data["layers"]}
    assert table["conv3_x.block2"] == (
        {"from_epoch": 3, "lr_factor": 0.1, "parameters": 295424, "until": None},
    )
    assert table["conv3_x.block1.residual1.shortcut"][0]["parameters"] == 64 * 128 + 2 * 128
    assert table["relu1"] == ()
    assert "in part" in as_markdown(plan, depth=1, learning=learning_of(plan))


def test_blocks_that_learn_otherwise_do_not_share_a_line(shipped: Callable[[Path], Plan]) -> None:
    plan = shipped(RESNET)
    names = [line.split()[0] for line in as_text(plan, depth=2).splitlines() if line]
    assert "block1-2" in names  # of conv2_x
    learning = dict(learning_of(plan))
    for name, share in learning.items():
        if name.startswith("conv2_x.block2."):
            learning[name] = Share(2, 1.0, share.parameters)
    text = as_text(plan, depth=2, learning=learning)
    assert "block1-2" not in [line.split()[0] for line in text.splitlines() if line]


def test_where_all_learns_alike_nothing_is_said(shipped: Callable[[Path], Plan]) -> None:
    plan = shipped(RESNET)
    everything = {name: Share(1, 1.0, 1) for name in build(plan, device="meta").state_dict()}
    assert as_text(plan, learning=everything) == as_text(plan)
    assert as_data(plan)["frozen_parameters"] == 0
