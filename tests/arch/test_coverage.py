"""How many units see a pixel, against the gradients of a network of positive weights."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from cnntrain.arch.build import build
from cnntrain.arch.coverage import coverages, in_words
from cnntrain.arch.plan import Plan

Planned = Callable[..., Plan]


@pytest.mark.parametrize(
    "layers",
    [
        "{conv: {out: 1, kernel: 3, stride: 2, padding: 1}}, avg_pool, {conv: {out: 1}}",
        "{conv: {out: 1, kernel: [5, 3], padding: [4, 0]}}, {avg_pool: {kernel: 3, stride: 2}}",
        "{conv: {out: 1, kernel: 2, stride: 3}}",
    ],
)  # fmt: skip
def test_a_pixel_is_seen_by_the_units_that_it_changes(planned: Planned, layers: str) -> None:
    plan = planned(
        f"layers: [{layers}, flatten, {{linear: {{out: 2}}}}]", shape=(1, 19, 16), classes=2
    )
    net = build(plan)
    for parameter in net.parameters():
        torch.nn.init.ones_(parameter)
    maps = list(net.children())[:-2]
    image = torch.rand(1, 1, 19, 16, requires_grad=True)
    for position, module in enumerate(maps):
        outputs = torch.nn.Sequential(*maps[: position + 1])(image)[0, 0]
        seen = torch.zeros(19, 16, dtype=torch.int64)
        for unit in outputs.flatten():
            [gradient] = torch.autograd.grad(unit, image, retain_graph=True)
            seen += gradient[0, 0] != 0
        [found] = [each for each in coverages(plan) if net.get_submodule(each.layer) is module]
        product = torch.outer(torch.tensor(found.rows), torch.tensor(found.columns))
        assert torch.equal(product, seen)


def test_layers_that_see_the_same_are_not_repeated(planned: Planned) -> None:
    text = "layers: [{conv: {out: 2, padding: same}}, relu, tanh, flatten, {linear: {out: 2}}]"
    [found] = coverages(planned(text, shape=(1, 5, 4), classes=2))
    assert found.layer == "conv1"
    assert in_words(found) == "along the height 2 x1, 3 x3, 2 x1; along the width 2 x1, 3 x2, 2 x1"
    assert (
        coverages(planned("layers: [flatten, {linear: {out: 2}}]", shape=(1, 5, 4), classes=2))
        == []
    )
