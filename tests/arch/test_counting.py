"""Operations whose result is known without asking torch: the same as torch's own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode

from cnntrain.arch.build import build
from cnntrain.arch.counting import MultiplyAdds
from cnntrain.arch.outlines import POINTWISE, outline
from cnntrain.arch.plan import Plan

aten = torch.ops.aten


def meta(*shape: int) -> Tensor:
    return torch.empty(*shape, device="meta")


OF_TWO = ([1, 1], [0, 0], [1, 1], False, [0, 0], 1)
MORE_THAN_ONE = {aten.maximum.default, aten.clamp_min.default}
two = [op for op in sorted(POINTWISE, key=str) if str(op).endswith((".Tensor", "Tensor_Scalar"))]
PAIRS = [((2, 3, 4), (2, 3, 4)), ((2, 3, 4), (3, 1)), ((5,), (2, 1, 5)), ((2, 1), (1, 4))]
MAX_POOL = aten.max_pool2d_with_indices.default
CALLS: list[tuple[Any, tuple[Any, ...]]] = [
    *(
        (op, (meta(2, 3, 4, 4),))
        for op in sorted(POINTWISE, key=str)
        if op not in two and op not in MORE_THAN_ONE and "Scalar" not in str(op)
    ),
    (aten.clamp_min.default, (meta(2, 3), 0)),
    (aten.maximum.default, (meta(2, 3), meta(2, 1))),
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
    *(
        (op, (meta(2, 3, 4, 4), *(meta(3) for _ in range(4)), True, 0.1, 1e-5))
        for op in (aten._native_batch_norm_legit.default, aten.native_batch_norm.default)
    ),
    (aten.native_layer_norm.default, (meta(2, 3, 4), [3, 4], meta(3, 4), meta(3, 4), 1e-5)),
    (aten.mm.default, (meta(2, 3), meta(3, 5))),
    (aten.sum.dim_IntList, (meta(2, 3, 4), [1], True)),
    (aten.sum.dim_IntList, (meta(2, 3, 4), [])),
    (aten.empty_like.default, (meta(2, 3),)),
    (aten._adaptive_avg_pool2d.default, (meta(2, 3, 5, 7), [2, 3])),
    *(
        (
            aten.convolution.default,
            (meta(2, 6, 9, 8), meta(4, 6 // groups, k, 3), bias, *sizes, False, [0, 0], groups),
        )
        for groups, k, bias in ((1, 3, meta(4)), (2, 5, None), (2, 1, meta(4)))
        for sizes in (([1, 1], [0, 0], [1, 1]), ([2, 3], [1, 2], [1, 1]), ([1, 2], [2, 2], [2, 1]))
    ),
    *(
        (op, (meta(2, 3, 10, 7), *given, *([1, 1],) * (op is MAX_POOL and len(given) == 3)))
        for op in (MAX_POOL, aten.avg_pool2d.default)
        for given in (([2, 2],), ([3, 3], [2, 2]), ([3], [2], [1]), ([3, 3], [2, 1], [1, 1]))
    ),
    *((MAX_POOL, (meta(2, 3, s, s), [3, 3], [2, 2], [1, 1], [1, 1], True)) for s in range(3, 9)),
    *((aten.avg_pool2d.default, (meta(2, 3, s, 9), [2, 3], [3, 2], [1, 1], True)) for s in (4, 7)),
    (aten.avg_pool3d.default, (meta(2, 1, 8, 5, 5), [5, 1, 1], [1, 1, 1])),
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
        (aten.convolution.default, (meta(1, 2, 4, 4), meta(3, 2, 5, 5), None, *OF_TWO)),
        (aten.convolution.default, (meta(1, 3, 4, 4), meta(3, 2, 3, 3), None, *OF_TWO)),
        (aten.convolution.default, (meta(1, 2, 4, 4), meta(3, 2, 3, 3), meta(2), *OF_TWO)),
        (MAX_POOL, (meta(1, 2, 4, 4), [5, 5])),
        (MAX_POOL, (meta(1, 2, 4, 4), [2, 2], [2, 2], [2, 2])),
        (aten.mm.default, (meta(2, 3), meta(4, 5))),
        (aten.native_layer_norm.default, (meta(2, 3, 4), [3], None, None, 1e-5)),
        (aten.add_.Tensor, (meta(3), meta(2, 3))),
        (aten.relu.default, (torch.zeros(3),)),
        (aten.relu.default, (meta(3).to(torch.int64),)),
    ],
)
def test_what_does_not_fit_is_left_to_torch(operation: Any, args: tuple[Any, ...]) -> None:
    assert outline(operation, args, {}) is None


@pytest.mark.parametrize("number", [2, meta(3, 2)])
def test_what_is_changed_in_place_stays_what_it_is(number: Any) -> None:
    values = meta(3, 2)
    assert outline(aten.mul_.Tensor, (values, number), {}) is values
    assert outline(aten.add_.Tensor, (values, meta(3, 1)), {}) is None


PLANNED = """
import sys
import torch
before = set(sys.modules)
from pathlib import Path
from cnntrain.assemble.build_network import plan_architecture
from cnntrain.core.document import read_document
for name in sys.argv[1:]:
    plan_architecture(read_document(Path(name)), num_classes=None, image_channels=None,
                      image_size=None)
assert not {"sympy", "triton", "torch._dynamo"} & (set(sys.modules) - before)
"""


def test_planning_imports_no_compiler() -> None:
    names = ("lenet5", "alexnet", "vgg_d", "googlenet", "resnet152", "densenet121", "convnext_tiny")
    archs = Path(__file__).parents[2] / "configs" / "archs"
    files = [str(archs / f"{name}.yaml") for name in names]
    subprocess.run([sys.executable, "-c", PLANNED, *files], check=True, timeout=120)


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
