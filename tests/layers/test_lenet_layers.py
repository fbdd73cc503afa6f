"""The layers of LeNet-5 against loops and against the numbers of LeCun et al. 1998."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cnntrain.arch.plan import Plan
from cnntrain.layers.rbf_output import RbfOutput
from cnntrain.layers.scaled_tanh import ScaledTanh
from cnntrain.layers.sparse_conv import SparseConv
from cnntrain.layers.subsampling import Subsampling

# Table I, section II.B: rows are the maps of S2, columns those of C3.
TABLE_I = """
X . . . X X X . . X X X X . X X
X X . . . X X X . . X X X X . X
X X X . . . X X X . . X . X X X
. X X X . . X X X X . . X . X X
. . X X X . . X X X X . X X . X
. . . X X X . . X X X X . X X X
"""


def image(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def connected() -> Tensor:
    """(16, 6) booleans."""
    rows = [line.split() for line in TABLE_I.split("\n") if line]
    return torch.tensor([[cell == "X" for cell in row] for row in rows]).T


def dense(layer: SparseConv, mask: Tensor) -> Tensor:
    """The kernel of a full convolution with zeros where there is no connection."""
    kernel = torch.zeros(*mask.shape, *layer.kernel_size, dtype=layer.weight.dtype)
    for connection, (o, c) in enumerate(mask.nonzero().tolist()):
        kernel[o, c] = layer.weight.detach()[connection]
    return kernel


def test_c3_is_a_convolution_with_the_holes_of_table_1() -> None:
    layer = SparseConv(in_shape=(6, 14, 14), table="lenet5").double()
    x = image(2, 6, 14, 14)
    y = nn.functional.conv2d(x, dense(layer, connected()), layer.bias)
    torch.testing.assert_close(layer(x), y)


def test_c3_has_1516_parameters_and_151600_connections() -> None:
    layer = SparseConv(in_shape=(6, 14, 14), table="lenet5")
    assert count(layer) == 1516
    counter = FlopCounterMode(display=False)
    with counter:
        layer.to("meta")(torch.empty(1, 6, 14, 14, device="meta"))
    # The paper counts the 16 offsets of each of the 100 pixels as connections too.
    assert counter.get_total_flops() // 2 + 16 * 100 == 151_600


def test_any_table_in_any_order() -> None:
    torch.manual_seed(0)
    table = [[2, 0, 1], [1], [3, 0]]
    layer = SparseConv(in_shape=(4, 7, 8), table=table, kernel=(3, 2), stride=2, padding=(1, 0))
    mask = torch.zeros(3, 4, dtype=torch.bool)
    for o, row in enumerate(table):
        mask[o, row] = True
    x = image(2, 4, 7, 8).float()
    kernel = dense(layer, mask)
    expected = nn.functional.conv2d(x, kernel, layer.bias, stride=2, padding=(1, 0))
    torch.testing.assert_close(layer(x), expected)


def test_each_map_of_c3_starts_in_the_range_of_its_own_inputs() -> None:
    torch.manual_seed(0)
    layer = SparseConv(in_shape=(6, 14, 14), table="lenet5", kernel=21)
    mask = connected()
    for o in range(16):
        bound = 1 / math.sqrt(441 * int(mask[o].sum()))
        mine = layer.weight[mask.nonzero()[:, 0] == o].abs().max().item()
        assert 0.99 * bound < mine <= bound * (1 + 1e-6)
    assert layer.fans == (60 * 441 // 16, 60 * 441 // 6)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([], "the table is empty; give a list"),
        ([[0], []], "output map 1 sees no input map; give it one"),
        ([[0, 1, 0]], r"output map 0 sees an input map twice: \[0, 0, 1\]"),
        ([[0, 4]], "output map 0 sees input map 4, but there are 4; use 0 to 3"),
        ("lenet5", "sees input map 4, but there are 4"),
    ],
)
def test_what_sparse_conv_refuses(table: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SparseConv(in_shape=(4, 9, 9), table=table)


@pytest.mark.parametrize(("kernel", "stride"), [(2, None), ((3, 2), 1), (2, 3)])
def test_subsampling_is_a_factor_times_the_sum_plus_an_offset(kernel: Any, stride: Any) -> None:
    layer = Subsampling(in_shape=(2, 7, 6), kernel=kernel, stride=stride).double()
    layer.weight.data = torch.tensor([2.0, -0.5], dtype=torch.float64)
    layer.bias.data = torch.tensor([0.1, 3.0], dtype=torch.float64)
    x = image(1, 2, 7, 6)
    y = layer(x)
    (high, wide), (down, right) = layer.kernel_size, layer.stride
    for c, i, j in itertools.product(range(2), range(y.shape[2]), range(y.shape[3])):
        window = x[0, c, i * down : i * down + high, j * right : j * right + wide]
        expected = layer.weight[c] * sum(window.flatten().tolist()) + layer.bias[c]
        torch.testing.assert_close(y[0, c, i, j], expected)


def test_subsampling_starts_as_average_pooling() -> None:
    x = image(2, 3, 6, 6).float()
    layer = Subsampling(in_shape=(3, 6, 6), kernel=3)
    torch.testing.assert_close(layer(x), nn.functional.avg_pool2d(x, 3))


def test_scaled_tanh_maps_plus_and_minus_1_to_themselves() -> None:
    layer = ScaledTanh()
    # Appendix A: f(1) = 1 and f(-1) = -1 (1.7159 is rounded), and the range is +-1.7159.
    ends = layer(torch.tensor([-1e3, -1.0, 0.0, 1.0, 1e3], dtype=torch.float64))
    torch.testing.assert_close(
        ends, torch.tensor([-1.7159, -1, 0, 1, 1.7159], dtype=torch.float64), rtol=0, atol=2e-5
    )
    x = image(50).requires_grad_()
    y = layer(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    torch.testing.assert_close(slope, 1.7159 * 2 / 3 * (1 - (y / 1.7159) ** 2))
    e = torch.exp(4 * x / 3)
    torch.testing.assert_close(y, 1.7159 * (e - 1) / (e + 1))


@pytest.mark.parametrize("codes", ["random", "trained"])
def test_rbf_units_are_minus_the_squared_distance(codes: Any) -> None:
    layer = RbfOutput(in_features=7, out=4, codes=codes).double()
    x = image(5, 7)
    y = layer(x)
    for n, k in itertools.product(range(5), range(4)):
        distance = sum((x[n, j].item() - layer.codes[k, j].item()) ** 2 for j in range(7))
        assert y[n, k].item() == pytest.approx(-distance)


def test_the_class_whose_code_is_shown_wins() -> None:
    layer = RbfOutput(in_features=84, out=10)
    y = layer(layer.codes)
    assert torch.equal(y.argmax(dim=1), torch.arange(10))
    torch.testing.assert_close(y.diagonal(), torch.zeros(10), rtol=0, atol=1e-4)


def test_codes_are_different_signs_that_only_their_own_seed_changes() -> None:
    torch.manual_seed(1)
    one = RbfOutput(in_features=4, out=16)  # all 16 codes that there are
    torch.manual_seed(2)
    state = torch.get_rng_state()
    same = RbfOutput(in_features=4, out=16)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(one.codes, same.codes)
    assert torch.equal(one.codes.abs(), torch.ones(16, 4))
    assert len(torch.unique(one.codes, dim=0)) == 16
    wide = [RbfOutput(in_features=84, out=10, seed=seed).codes for seed in (0, 1)]
    assert not torch.equal(*wide)


def test_fixed_codes_are_saved_but_not_trained() -> None:
    fixed, trained = (RbfOutput(in_features=6, out=3, codes=c) for c in ("random", "trained"))
    assert list(fixed.state_dict()) == list(trained.state_dict()) == ["codes"]
    assert count(fixed) == 0
    assert count(trained) == 18


def test_autocast_does_not_round_the_distances() -> None:
    layer, x = RbfOutput(in_features=84, out=10), image(3, 84).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = layer(x)
    assert torch.equal(inside, layer(x))
    assert inside.dtype == torch.float32


def test_too_few_bits_are_refused() -> None:
    message = "3 inputs have 8 codes of .*, fewer than the 10 classes; .* at least 4 outputs"
    with pytest.raises(ValueError, match=message):
        RbfOutput(in_features=3, out=10)


LENET5 = """
layers:
  - conv: {out: 6, kernel: 5}
    as: c1
  - {subsampling: {kernel: 2}, as: s2}
  - scaled_tanh
  - sparse_conv: {table: lenet5, kernel: 5}
    as: c3
  - {subsampling: {kernel: 2}, as: s4}
  - scaled_tanh
  - conv: {out: 120, kernel: 5}
    as: c5
  - scaled_tanh
  - flatten
  - linear: {out: 84}
    as: f6
  - scaled_tanh
  - rbf_output: {out: $num_classes}
"""


def test_lenet5_has_the_published_60000_trainable_parameters(planned: Callable[..., Plan]) -> None:
    plan = planned(LENET5, shape=(1, 32, 32), classes=10)
    counts = {node.name: node.parameters for node in plan.body.nodes if node.parameters}
    # Section II.B, layer by layer.
    assert counts == {"c1": 156, "s2": 12, "c3": 1516, "s4": 32, "c5": 48_120, "f6": 10_164}
    assert plan.parameters == 60_000
