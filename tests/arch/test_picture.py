"""Pictures of networks: the files open, everything is in them, and nothing lies on another."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from xml.etree import ElementTree

import pytest
from PIL import Image

from cnntrain.arch.drawing import draw
from cnntrain.arch.layout import Drawing
from cnntrain.arch.picture import READABLE, picture, readable_depth
from cnntrain.arch.plan import Plan

ARCHS = Path(__file__).parents[2] / "configs" / "archs"
NAMES = ["lenet5", "googlenet", "resnet20", "resnet50", "multi_scale", "softmax_regression"]
Planned = Callable[..., Plan]
Shipped = Callable[[Path], Plan]


def drawn(plan: Plan, depth: int | None = None) -> Drawing:
    whole, drawing = picture(plan, depth=depth), Drawing()
    whole.put(drawing, 0, 0)
    return drawing


@pytest.mark.parametrize("name", NAMES)
def test_every_outermost_name_is_in_the_svg(name: str, shipped: Shipped, tmp_path: Path) -> None:
    plan = shipped(ARCHS / f"{name}.yaml")
    file = tmp_path / "net.svg"
    draw(plan, file, title=name)
    words = " ".join(ElementTree.parse(file).getroot().itertext())
    for node in plan.body.nodes:
        assert node.name in words
    for head, *_ in plan.aux:
        assert head in words
    again = tmp_path / "again.svg"
    draw(plan, again, title=name)
    assert again.read_bytes() == file.read_bytes()


def test_png_and_pdf(shipped: Shipped, tmp_path: Path) -> None:
    plan = shipped(ARCHS / "lenet5.yaml")
    draw(plan, tmp_path / "net.png")
    with Image.open(tmp_path / "net.png") as image:
        assert image.format == "PNG"
        assert image.height > 4 * image.width > 400  # twelve boxes below each other
    draw(plan, tmp_path / "net.pdf")
    assert (tmp_path / "net.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("depth", [None, 1, 2, 9])
@pytest.mark.parametrize("name", NAMES)
def test_no_box_lies_on_another(name: str, depth: int | None, shipped: Shipped) -> None:
    boxes = drawn(shipped(ARCHS / f"{name}.yaml"), depth).boxes
    for one, other in combinations(boxes, 2):
        beside = one.x + one.width <= other.x + 0.1 or other.x + other.width <= one.x + 0.1
        below = one.y + one.height <= other.y + 0.1 or other.y + other.height <= one.y + 0.1
        assert beside or below, (one.title, other.title)
    assert all(box.x >= -0.1 and box.y >= -0.1 for box in boxes)


def test_deep_networks_stay_readable(shipped: Shipped) -> None:
    for name in ("resnet152", "googlenet", "preact_resnet164"):
        plan = shipped(ARCHS / f"{name}.yaml")
        assert len(drawn(plan).boxes) <= 2 * READABLE
    plan = shipped(ARCHS / "resnet152.yaml")
    assert "block2 to block36" in [box.title for box in drawn(plan, 2).boxes]
    assert readable_depth(shipped(ARCHS / "lenet5.yaml")) == 1


def test_a_block_that_a_head_reads_stands_by_itself(planned: Planned) -> None:
    text = """
blocks: {unit: {layers: [{conv: {out: 3, padding: same}}, relu]}}
layers: [{unit: , repeat: 4}, global_avg_pool]
aux: [{from: unit3, layers: [global_avg_pool]}]
"""
    titles = [box.title for box in drawn(planned(text), 1).boxes]
    assert titles == ["input", "unit1 to unit2", "unit3", "aux1", "unit4", "global_avg_pool1"]


def test_branches_stand_side_by_side(shipped: Shipped) -> None:
    boxes = drawn(shipped(ARCHS / "googlenet.yaml")).boxes
    begins = [box for box in boxes if box.detail in ("64x28x28", "96x28x28", "16x28x28")][:3]
    assert len({box.y for box in begins}) == 1
    assert len({box.x for box in begins}) == 3


def test_skips_are_drawn(planned: Planned) -> None:
    text = """
layers:
  - {conv: {out: 3, padding: same}, as: a}
  - {residual: {body: [conv: {out: 3, padding: same}]}, as: b}
  - {residual: {body: [conv: {out: 6, padding: same}]}, as: c}
  - {add: , from: [a, b], as: d}
"""
    drawing = drawn(planned(text), 2)
    turning = [line for line in drawing.lines if len(line) > 2]
    titles = [box.title for box in drawing.boxes]
    assert "+  b" in titles
    assert "+  c" in titles
    assert "shortcut" in titles  # the projection of c
    # beside the body of b a line passes by; c has two columns; d reads a and b, not c above it
    assert len(turning) >= 5
