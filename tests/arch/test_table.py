"""The table of a plan: sums, shares, fields, folding, and its text to the last character."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.arch.plan import Plan
from cnntrain.arch.table import Row, as_data, rows
from cnntrain.arch.table_text import as_markdown, as_text

HERE = Path(__file__).parent
ARCHS = HERE.parents[1] / "configs" / "archs"
SNAPSHOTS = {"lenet5": None, "resnet152": 2, "googlenet": 1}
"""Architectures whose text is kept, with the levels shown."""

Planned = Callable[..., Plan]
Shipped = Callable[[Path], Plan]


def arch(name: str) -> Path:
    return ARCHS / f"{name}.yaml"


@pytest.mark.parametrize("name", SNAPSHOTS)
def test_the_text(name: str, shipped: Shipped) -> None:
    """CNNTRAIN_REGENERATE=1 writes it anew; read the difference."""
    text = as_text(shipped(arch(name)), depth=SNAPSHOTS[name]) + "\n"
    file = HERE / "tables" / f"{name}.txt"
    if os.environ.get("CNNTRAIN_REGENERATE"):
        file.write_text(text)
    assert text == file.read_text()


@pytest.mark.parametrize(
    "name",
    ["alexnet", "vgg_e_bn", "googlenet", "googlenet_torchvision", "resnet152", "resnet18_zero_pad"],
)
def test_it_fits_a_wide_terminal(name: str, shipped: Shipped) -> None:
    assert max(map(len, as_text(shipped(arch(name))).splitlines())) <= 120


@pytest.mark.parametrize("name", ["lenet5", "googlenet", "resnet50", "neocognitron", "multi_scale"])
def test_the_leaves_add_up(name: str, shipped: Shipped) -> None:
    plan = shipped(arch(name))
    leaves = [row for row in rows(plan) if row.is_leaf]
    counted = [row for row in leaves if row.multiply_add_share is not None]
    assert sum(row.parameters for row in leaves) == plan.parameters
    assert sum(row.buffers for row in leaves) == plan.buffers
    assert sum(row.multiply_adds for row in counted) == plan.multiply_adds
    assert sum(row.parameter_share for row in leaves) == pytest.approx(1)
    assert sum(row.multiply_add_share or 0 for row in counted) == pytest.approx(1)


def test_the_outermost_rows_add_up(shipped: Shipped) -> None:
    data = as_data(shipped(arch("googlenet")), batch=3, depth=1)
    layers = data["layers"]
    for key in ("parameters", "buffers", "activation_bytes"):
        assert sum(row[key] for row in layers) == data[key], key
    heads = [row for row in layers if row["kind"] == "head"]
    assert [row["name"] for row in heads] == ["aux1", "aux2"]
    assert [row["reads"] for row in heads] == [("inception4a",), ("inception4d",)]
    assert sum(row["multiply_adds"] for row in heads) == data["head_multiply_adds"]
    assert [row["multiply_add_share"] for row in heads] == [None, None]
    assert data["flops"] == 2 * data["multiply_adds"]
    assert data["weight_bytes"] == 4 * (data["parameters"] + data["buffers"])


def test_alexnets_published_shapes(shipped: Shipped) -> None:
    # Krizhevsky et al. 2012, section 3.5 and figure 2, with the 227 pixels that the sizes imply.
    plan = shipped(arch("alexnet"))
    names = ["conv1", "max_pool1", "conv2", "max_pool2", "conv3", "conv4", "conv5", "max_pool3"]
    table = {row.name: row for row in rows(plan)}
    sides = [table[name].out_shape[1] for name in names]
    flat = [table[name].out_shape[0] for name in ("fc6", "fc7", "fc8")]
    assert [plan.body.in_shape[1], *sides] == [227, 55, 27, 27, 13, 13, 13, 13, 6]
    assert flat == [4096, 4096, 1000]
    text = as_text(plan)
    assert all(f"x{side}x{side}" in text for side in (227, 55, 27, 13, 6))


LENET = """
layers:
  - conv: {out: 6, kernel: 5, padding: 2}
  - avg_pool
  - conv: {out: 16, kernel: 5, padding: 2}
  - avg_pool
"""


def test_fields_strides_and_offsets(planned: Planned) -> None:
    # A pixel sees 1; 5x5: 1 + 4; pooling: + 1; 5x5 at distance 2: + 8; pooling at distance 2: + 2.
    table = rows(planned(LENET, shape=(1, 28, 28)))
    assert [row.receptive_field for row in table] == [(5, 5), (6, 6), (14, 14), (16, 16)]
    assert [row.stride for row in table] == [(1, 1), (2, 2), (2, 2), (4, 4)]
    assert [row.first_pixel for row in table] == [(-2, -2), (-2, -2), (-6, -6), (-6, -6)]
    # the centre lies in the middle between first and last pixel: (-6 + 9) / 2
    assert [row.offset for row in table] == [(0, 0), (0.5, 0.5), (0.5, 0.5), (1.5, 1.5)]
    text = as_text(planned(LENET, shape=(1, 28, 28)))
    cells = [line.split() for line in text.splitlines()[3:7:3]]
    assert cells[0][-5:-2] == ["5", "1", "-2..2"]  # then its memory, 18.8 kB
    assert cells[1][-3:] == ["16", "4", "-6..9"]  # which nobody needs again


def test_branches_and_skips_are_followed(planned: Planned) -> None:
    layers = """
layers:
  - conv: {out: 4, kernel: 3, stride: 2, padding: 1}
  - residual:
      body: [conv: {out: 8, kernel: 3, stride: 2, padding: 1}]
  - branches:
      paths:
        small: [conv: {out: 1, kernel: 1}]
        large: [conv: {out: 1, kernel: 5, padding: 2}]
"""
    table = {row.name: row for row in rows(planned(layers, shape=(1, 32, 32)))}
    assert list(table) == [
        *("conv1", "residual1", "residual1.body.conv1", "residual1.shortcut"),
        *("branches1", "branches1.paths.small", "branches1.paths.small.conv1"),
        *("branches1.paths.large", "branches1.paths.large.conv1"),
    ]
    sizes = {name: row.receptive_field for name, row in table.items()}
    assert sizes["residual1"] == (3 + 2 * 2, 3 + 2 * 2)
    assert sizes["branches1.paths.small"] == sizes["residual1"]
    assert sizes["branches1"] == sizes["branches1.paths.large"] == (7 + 4 * 4, 7 + 4 * 4)
    assert table["branches1"].stride == (4, 4)
    own = table["residual1.shortcut"]
    assert (own.operation, own.parameters) == ("own", 4 * 8 + 2 * 8)  # 1x1 and a batch norm
    assert own.multiply_adds == 4 * 8 * 8 * 8


def test_blocks_that_are_alike_share_a_line(shipped: Shipped) -> None:
    plan = shipped(arch("resnet152"))
    lines = as_text(plan, depth=2).splitlines()
    [line] = [line for line in lines if "block2-36" in line]
    block = next(row for row in rows(plan) if row.name == "conv4_x.block2")
    assert "35 alike" in line
    assert f"{35 * block.parameters:,}" in line
    assert f"{35 * block.multiply_adds:,}" in line
    assert len(lines) < 35
    everything = as_text(plan).splitlines()
    assert len(everything) > 700


def test_markdown_has_the_same_cells(shipped: Shipped) -> None:
    plan = shipped(arch("lenet5"))
    lines = as_markdown(plan).splitlines()
    cells = {line.count("|") for line in lines if line.startswith("|")}
    assert cells == {12}
    assert "| c3 | conv | 16x10x10 | 2,416 | 3.9% | 240,000 | 57.6% | 14 | 2 | -2..11 |" in lines[6]
    assert "61,706 trained" in lines[-3]


def test_a_row_is_plain_data(shipped: Shipped) -> None:
    [row] = [row for row in as_data(shipped(arch("lenet5")))["layers"] if row["name"] == "c3"]
    assert list(row) == [*Row.__dataclass_fields__, "is_leaf"]
    assert row["out_shape"] == (16, 10, 10)
