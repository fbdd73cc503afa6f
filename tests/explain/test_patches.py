"""Patches against the pixels that a unit's gradient reaches, answers against a sort of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from cnntrain.arch.build import build
from cnntrain.arch.description import Facts, describe
from cnntrain.arch.planner import make_plan
from cnntrain.arch.receptive import Axis, Field
from cnntrain.core.document import parse_document
from cnntrain.data.batch import Loader
from cnntrain.explain.patches import cut, strongest
from cnntrain.model.taps import Tap, tapped
from cnntrain.show.pixels import NOTHING

SIZE = 20
ARCHS = {
    "strided": "[{conv: {out: 2, kernel: 5, stride: 2, padding: 2}}, {conv: {out: 2, kernel: 3}}]",
    "pooled": "[{conv: {out: 2, padding: same}}, {avg_pool: {kernel: 3, stride: 2, padding: 1}},"
    " {conv: {out: 2, kernel: 2}}]",
    "dilated": "[{conv: {out: 2, kernel: 3, dilation: 2, padding: 1}},"
    " {avg_pool: {kernel: 2}}, {conv: {out: 1, kernel: 4, padding: [1, 0]}}]",
    "residual": "[{conv: {out: 2, stride: 2, padding: same}},"
    " {residual: {body: [{conv: {out: 2, padding: same}}, {conv: {out: 2, padding: same}}]}}]",
}


def test_only_pixels_of_the_patch_change_the_answer() -> None:
    """By changing them: all others at once, then those of each of its four sides."""
    text = f"layers: [{ARCHS['strided'][1:-1]}, flatten, {{linear: {{out: 2}}}}]"
    plan = make_plan(describe(parse_document(text, name="a"), facts=Facts(2, 1, SIZE, SIZE)))
    net, layer = build(plan), plan.body.nodes[1]
    pixels, row, column = torch.rand(SIZE, SIZE), 3, 4
    places = np.stack([*np.mgrid[:SIZE, :SIZE].astype(np.float32), np.zeros((SIZE, SIZE))], axis=2)
    patch = cut(places, layer.receptive_field, row=row, column=column).astype(int)
    (top, left, _), (bottom, right, _) = patch[0, 0], patch[-1, -1]
    assert 0 < top < bottom < SIZE - 1
    assert 0 < left < right < SIZE - 1

    def answer(changed: torch.Tensor) -> float:
        with torch.no_grad(), tapped(net, [Tap(layer.name)]) as found:
            net((pixels + changed)[None, None])
        return float(found[Tap(layer.name)][0, 1, row, column])

    inside = torch.zeros(SIZE, SIZE)
    inside[top : bottom + 1, left : right + 1] = 1
    before = answer(torch.zeros(SIZE, SIZE))
    assert answer(5 * (1 - inside)) == before
    inner = torch.zeros(SIZE, SIZE)
    for side in (top, bottom):
        inner.zero_()[side] = 1
        assert answer(5 * inner * inside) != before
    for side in (left, right):
        inner.zero_()[:, side] = 1
        assert answer(5 * inner * inside) != before


@pytest.mark.parametrize("name", ARCHS)
def test_a_patch_is_what_the_unit_sees(name: str) -> None:
    text = f"layers: [{ARCHS[name][1:-1]}, flatten, {{linear: {{out: 2}}}}]"
    plan = make_plan(describe(parse_document(text, name="a"), facts=Facts(2, 1, SIZE, SIZE)))
    net = build(plan).double()
    for parameter in net.parameters():
        torch.nn.init.constant_(parameter, 1.0)  # positive: no gradient cancels
    layer = plan.body.nodes[-3]
    seen = torch.rand(1, 1, SIZE, SIZE, dtype=torch.float64, requires_grad=True)
    with tapped(net, [Tap(layer.name)]) as found:
        net(seen)
    maps = found[Tap(layer.name)]
    image = np.random.default_rng(0).uniform(size=(SIZE, SIZE, 3)).astype(np.float32)
    rows, columns = maps.shape[2:]
    for row, column in [(0, 0), (rows - 1, columns - 1), (rows // 2, 0), (rows // 2, columns // 2)]:
        (slope,) = torch.autograd.grad(maps[0, 0, row, column], seen, retain_graph=True)
        ys, xs = slope[0, 0].nonzero().T
        patch = cut(image, layer.receptive_field, row=row, column=column)
        inside = patch != np.float32(NOTHING)
        reached = image[ys.min() : ys.max() + 1, xs.min() : xs.max() + 1]
        assert inside.all(axis=2).sum() == reached.shape[0] * reached.shape[1]
        assert np.array_equal(patch[inside], reached.reshape(-1))
        field: Any = layer.receptive_field
        assert patch.shape == (field.height.size, field.width.size, 3)


def test_in_the_padding_there_is_grey() -> None:
    image = np.zeros((6, 6, 3), dtype=np.float32)
    patch = cut(image, Field(Axis(5, 1, 0.0), Axis(3, 2, 1.0)), row=0, column=2)
    expected = np.full((5, 3, 3), NOTHING, dtype=np.float32)
    expected[2:, :2] = 0  # rows -2 to 2, columns 4 to 6 of an image of 6 x 6
    assert np.array_equal(patch, expected)


@pytest.mark.parametrize(
    "field",
    [
        None,
        Field(Axis(3, 1, 0), Axis(3, 1, 0), whole=True),
        Field(Axis(5, 1, 0), Axis(4, 1, 0)),
    ],
)
def test_what_sees_everything_has_the_image(field: Field | None) -> None:
    image = np.zeros((4, 4, 3), dtype=np.float32)
    assert cut(image, field, row=1, column=1) is image


def test_strongest_answers_of_maps(batches: Callable[..., Loader]) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(2, 3, 3), torch.nn.Tanh())
    images = torch.randn(11, 2, 6, 7)
    found = strongest(net, batches(images, size=4), layer="0", most=5)
    answers = net[0](images).detach()
    assert found.seen == 11
    for unit in range(3):
        each = answers[:, unit].flatten(1).max(dim=1).values
        values, order = each.sort(descending=True)
        torch.testing.assert_close(found.values[unit], values[:5])
        assert found.images[unit].tolist() == order[:5].tolist()
        for image, row, column, value in zip(
            found.images[unit], found.rows[unit], found.columns[unit], found.values[unit],
            strict=True,
        ):  # fmt: skip
            torch.testing.assert_close(answers[image, unit, row, column], value)
    first = found.answers(1)[0]
    assert float(answers[first.image, 1, first.row, first.column]) == pytest.approx(first.value)


def test_flat_layers_and_fewer_images_than_asked_for(batches: Callable[..., Loader]) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[1.0, 0, 0, 0], [-1.0, 0, 0, 0]]))
    images = torch.tensor([0.5, 2.0, 1.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    found = strongest(net, batches(images, size=2), layer="1", most=9)
    assert found.images.tolist() == [[1, 2, 0], [0, 2, 1]]
    assert found.rows.tolist() == found.columns.tolist() == [[0, 0, 0], [0, 0, 0]]
    assert found.alive() == [0]
