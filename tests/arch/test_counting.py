"""Operations whose result is known without asking torch: the same as torch's own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from cnntrain.arch.build import build
from cnntrain.arch.counting import POINTWISE, MultiplyAdds, outline
from cnntrain.arch.plan import Plan

aten = torch.ops.aten


def meta(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta")


two = [op for op in sorted(POINTWISE, key=str) if str(op).endswith((".Tensor", "Tensor_Scalar"))]
PAIRS = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((5,), (2, 1, 5)), ((2, 1), (1, 4))]
CALLS: list[tuple[Any, tuple[Any, ...]]] = [
    *(
        (op, (meta(2, 3, 4, 4),))
        for op in sorted(POINTWISE, key=str)
        if op not in two and "Scalar" not in str(op)
    ),
    *((aten.add.Tensor, (meta(*a), meta(*b))) for a, b in PAIRS),
    *((op, (meta(3, 2), meta(3, 1))) for op in (aten.sub.Tensor, aten.mul.Tensor, aten.div.Tensor)),
    (aten.mul.Tensor, (meta(3, 2), torch.tensor(2.0, dtype=torch.float64))),
    (aten.pow.Tensor_Scalar, (meta(3, 2), 2)),
    (aten.add.Scalar, (meta(3, 2), 2)),
    (aten.addmm.default, (meta(5), meta(2, 3), meta(3, 5))),
    (aten.cat.default, ([meta(2, 3, 4), meta(2, 1, 4)], 1)),
    (aten.cat.default, ([meta(2, 3), meta(2, 3)], 1)),
    (aten.mean.dim, (meta(2, 3, 4, 5), [2, 3])),
    (aten.mean.dim, (meta(2, 3, 4, 5), [-1, -2], True)),
    (
        aten._native_batch_norm_legit.default,
        (meta(2, 3, 4, 4), *(meta(3) for _ in range(4)), True, 0.1, 1e-5),
    ),
]


@pytest.mark.parametrize(("operation", "args"), CALLS)
def test_it_is_torchs_own(operation: Any, args: tuple[Any, ...]) -> None:
    found, expected = tree_leaves(outline(operation, args, {})), tree_leaves(operation(*args))
    assert [(t.shape, t.dtype, t.device) for t in found] == [
        (t.shape, t.dtype, t.device) for t in expected
    ]


@pytest.mark.parametrize(
    ("operation", "args"),
    [
        (aten.add.Tensor, (meta(2, 3), meta(2, 4))),
        (aten.addmm.default, (meta(5), meta(2, 3), meta(4, 5))),
        (aten.cat.default, ([meta(2, 3, 4), meta(2, 3, 5)], 1)),
        (aten.relu.default, (torch.zeros(3),)),
        (aten.relu.default, (meta(3).to(torch.int64),)),
    ],
)
def test_what_does_not_fit_is_left_to_torch(operation: Any, args: tuple[Any, ...]) -> None:
    assert outline(operation, args, {}) is None


@pytest.mark.parametrize("name", ["lenet5_1998", "googlenet", "resnet20", "jarrett", "maxout"])
def test_the_count_is_torchs_own(name: str, shipped: Callable[[Path], Plan]) -> None:
    plan = shipped(Path(__file__).parents[2] / "configs" / "archs" / f"{name}.yaml")
    net, images = build(plan, device="meta").eval(), meta(3, *plan.body.in_shape)
    with MultiplyAdds() as ours:
        net(images)
    with FlopCounterMode(display=False) as theirs:
        net(images)
    assert 2 * ours.total == theirs.get_total_flops()
    assert ours.total == 3 * plan.multiply_adds
