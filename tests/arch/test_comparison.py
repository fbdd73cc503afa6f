"""Two plans side by side: what is matched, what differs, and the totals."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.arch.comparison import (
    Comparison,
    compare,
    comparison_data,
    comparison_markdown,
    comparison_text,
)
from cnntrain.arch.plan import Plan

ARCHS = Path(__file__).parents[2] / "configs" / "archs"
Planned = Callable[..., Plan]
Shipped = Callable[[Path], Plan]


def compared(shipped: Shipped, a: str, b: str, depth: int | None = None) -> Comparison:
    plans = [shipped(ARCHS / f"{name}.yaml") for name in (a, b)]
    return compare(*plans, names=(a, b), depth=depth)


def by_status(found: Comparison, depth: int = 0) -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for line in found.lines:
        if line.depth == depth:
            names.setdefault(line.status, []).append(line.rows[0].name)
    return names


# The ablations of AlexNet: which layers are gone, and what that does to those after them.
# Parameters: conv3 is 256 x 9 x 384 + 384, conv4 is 384 x 9 x 384 + 384, conv5 reads 384 or 256
# maps (256 x 9 fewer weights for each of 128), fc7 is 4096 x 4096 + 4096, and fc8 and fc6 read
# what is left: without 6 and 7, fc8 reads 9216 numbers.
CONV_3_4 = 256 * 9 * 384 + 384 + 384 * 9 * 384 + 384 + 128 * 9 * 256
FC_6_7 = 9216 * 4096 + 4096 + 4096 * 4096 + 4096 - (9216 - 4096) * 1000
ABLATIONS = {
    "alexnet_without_7": (["fc7"], [], 4096 * 4096 + 4096),
    "alexnet_without_6_7": (["fc6", "fc7"], ["fc8"], FC_6_7),
    "alexnet_without_3_4": (["conv3", "conv4"], ["conv5"], CONV_3_4),
    "alexnet_without_3_4_6_7": (
        ["conv3", "conv4", "fc6", "fc7"],
        ["conv5", "fc8"],
        CONV_3_4 + FC_6_7,
    ),
}


@pytest.mark.parametrize("name", ABLATIONS)
def test_ablations(name: str, shipped: Shipped) -> None:
    gone, changed, parameters = ABLATIONS[name]
    found = compared(shipped, "alexnet", name)
    names = by_status(found)
    assert names["only a"] == gone
    assert names.get("differs", []) == changed
    assert "only b" not in names
    data = comparison_data(found)
    assert data["difference"]["parameters"] == -parameters
    assert data["ratio"]["parameters"] == pytest.approx(1 - parameters / 62_378_344)


def test_a_network_is_the_same_as_itself(shipped: Shipped) -> None:
    found = compared(shipped, "googlenet", "googlenet")
    assert {line.status for line in found.lines} == {"same"}
    assert {line.depth for line in found.lines} == {0}
    data = comparison_data(found)
    assert not any(data["difference"].values())


def test_layers_without_names_are_matched_by_what_they_are(planned: Planned) -> None:
    a = planned("layers: [conv: {out: 4}, relu, conv: {out: 8}, relu, global_avg_pool]")
    b = planned("layers: [conv: {out: 4}, relu, batch_norm, conv: {out: 9}, relu, global_avg_pool]")
    lines = compare(a, b, names=("a", "b")).lines
    pairs = [(line.a and line.a.name, line.b and line.b.name, line.status) for line in lines]
    assert pairs == [
        ("conv1", "conv1", "same"),
        ("relu1", "relu1", "same"),
        (None, "batch_norm1", "only b"),
        ("conv2", "conv2", "differs"),
        ("relu2", "relu2", "differs"),
        ("global_avg_pool1", "global_avg_pool1", "differs"),
    ]


def test_repeated_blocks_share_a_line(shipped: Shipped) -> None:
    text = comparison_text(compared(shipped, "resnet50", "resnet152", depth=2))
    [line] = [line for line in text.splitlines() if "block7-36" in line]
    # a bottleneck of conv4_x: 1024 x 256 + 9 x 256 x 256 + 256 x 1024, and its three norms
    block = 2 * 1024 * 256 + 9 * 256 * 256 + 2 * (256 + 256 + 1024)
    assert line.startswith("+")
    assert f"+{30 * block:,}" in line
    assert max(map(len, text.splitlines())) <= 120


def test_differing_blocks_are_opened_to_a_depth(shipped: Shipped) -> None:
    closed = compared(shipped, "vgg_d", "vgg_d_bn", depth=1)
    assert {line.depth for line in closed.lines} == {0}
    opened = compared(shipped, "resnet18", "plain18")
    assert max(line.depth for line in opened.lines) > 1


def test_totals_in_words(shipped: Shipped) -> None:
    found = compared(shipped, "alexnet", "alexnet_without_7")
    assert "45,597,032" in comparison_text(found)  # 62,378,344 - 16,781,312
    assert "-16,781,312" in comparison_text(found)
    assert "| parameters | 62,378,344 | 45,597,032 | -16,781,312 | 0.731 |" in (
        comparison_markdown(found)
    )
