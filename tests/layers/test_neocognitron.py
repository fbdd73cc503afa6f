"""S- and C-cells against loops over Fukushima's equations of 1980."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cnntrain.layers.c_cell import CCell, gaussian_window
from cnntrain.layers.s_cell import SCell


def image(*shape: int) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def s_cell(**parameters: Any) -> SCell:
    torch.manual_seed(0)
    layer = SCell(**{"in_shape": (2, 7, 6), "out": 3, "kernel": 3, **parameters}).double()
    layer.inhibition.data = torch.tensor([0.1, 0.8, -0.4], dtype=torch.float64)
    layer.weight.data[0] *= -1
    return layer


def test_the_window_is_positive_sums_to_1_and_decreases_from_the_centre() -> None:
    for kernel in ((5, 5), (3, 4), (1, 1), (2, 7)):
        window = gaussian_window(kernel)
        assert window.shape == kernel
        assert window.min() > 0
        torch.testing.assert_close(window.sum(), torch.tensor(1.0))
        torch.testing.assert_close(window, window.flip(0, 1))
    row = gaussian_window((1, 5))[0].tolist()
    assert row[2] > row[1] > row[0]
    assert row[1] / row[2] == pytest.approx(math.exp(-0.5 / 1.25**2))


@pytest.mark.parametrize("r", [0.5, 1.5, 4.0])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_s_cells_are_the_papers_equation(r: float, stride: int, padding: int) -> None:
    layer = s_cell(selectivity=r, stride=stride, padding=padding)
    x = image(1, 2, 7, 6)
    y = layer(x)
    u = functional.pad(x, (padding,) * 4)
    window = gaussian_window((3, 3)).double() / 2  # over 2 maps it sums to 1
    for k, i, j in itertools.product(range(3), range(y.shape[2]), range(y.shape[3])):
        part = u[0, :, i * stride : i * stride + 3, j * stride : j * stride + 3]
        excitation = (layer.weight[k].abs() * part).sum().item()
        v = math.sqrt((window * part**2).sum().item())
        b = abs(layer.inhibition[k].item())
        ratio = (1 + excitation) / (1 + 2 * r / (1 + r) * b * v)
        assert y[0, k, i, j].item() == pytest.approx(r * max(0.0, ratio - 1), abs=1e-7)


def test_an_s_cell_fires_for_its_own_pattern_and_not_for_another_of_the_same_energy() -> None:
    # a proportional to w u, b = sqrt(sum of a**2 / w): e = b h for the pattern itself, by the
    # inequality of Cauchy and Schwarz, and e < b h for any other.
    window = gaussian_window((3, 3)).double()
    pattern, other = image(2, 1, 3, 3)
    other = other * ((window * pattern**2).sum() / (window * other**2).sum()).sqrt()
    layer = SCell(in_shape=(1, 3, 3), out=1, kernel=3, selectivity=4.0).double()
    layer.weight.data[0] = 20 * window * pattern
    layer.inhibition.data[0] = ((20 * window * pattern) ** 2 / window).sum().sqrt()
    # Of e / (b h) = cosine, a cell of selectivity r fires above 2 r / (1 + r): a lower b is needed.
    layer.inhibition.data *= 0.95 / 1.6
    assert layer(pattern[None])[0].item() > 0
    assert layer(other[None])[0].item() == 0


def test_s_cells_of_nothing_are_silent() -> None:
    assert torch.equal(s_cell()(torch.zeros(1, 2, 7, 6).double()), torch.zeros(1, 3, 5, 4).double())


def test_the_initial_excitation_is_about_the_mean_of_the_input() -> None:
    torch.manual_seed(0)
    layer = SCell(in_shape=(8, 9, 9), out=40, kernel=5)
    # Each sum is of 200 uniform numbers from 0 to 0.01: 1, with a standard deviation of 0.041.
    torch.testing.assert_close(layer.weight.flatten(1).sum(1), torch.ones(40), rtol=0, atol=0.17)


@pytest.mark.parametrize("inhibition", [True, False])
@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1)])
def test_c_cells_are_the_papers_equation(inhibition: bool, stride: int, padding: int) -> None:
    layer = CCell(
        in_shape=(3, 6, 7),
        kernel=(2, 3),
        stride=stride,
        padding=padding,
        saturation=0.5,
        inhibition=inhibition,
    )
    x = image(1, 3, 6, 7)
    y = layer.double()(x)
    u = functional.pad(x, (padding,) * 4)
    window = gaussian_window((2, 3)).double()
    for i, j in itertools.product(range(y.shape[2]), range(y.shape[3])):
        part = u[0, :, i * stride : i * stride + 2, j * stride : j * stride + 3]
        s = [(window * part[k]).sum().item() for k in range(3)]
        m = sum(s) / 3 if inhibition else 0.0
        for k in range(3):
            rest = max(0.0, (1 + s[k]) / (1 + m) - 1)
            assert y[0, k, i, j].item() == pytest.approx(rest / (0.5 + rest), abs=1e-7)


def test_a_c_cell_fires_wherever_its_s_cell_does_within_the_window_below_1() -> None:
    layer = CCell(in_shape=(2, 5, 5), kernel=5)
    for i, j in itertools.product(range(5), range(5)):
        x = torch.zeros(1, 2, 5, 5)
        x[0, 0, i, j] = 1e4
        y = layer(x)[0, :, 0, 0]
        assert 0.4 < y[0] < 1
        assert y[1] == 0


@pytest.mark.parametrize("cell", ["s", "c"])
def test_autocast_rounds_nothing(cell: str) -> None:
    layer = s_cell().float() if cell == "s" else CCell(in_shape=(2, 7, 6), kernel=3)
    x = image(2, 2, 7, 6).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = layer(x)
    assert torch.equal(inside, layer(x))


def test_what_they_refuse() -> None:
    with pytest.raises(ValueError, match=r"s_cell reads maps \(C, H, W\)"):
        SCell(in_shape=(9,), out=1)
    with pytest.raises(ValueError, match=r"c_cell reads maps \(C, H, W\)"):
        CCell(in_shape=(9,))
    with pytest.raises(ValueError, match="never exceeds the mean of the maps; use inhibition"):
        CCell(in_shape=(1, 9, 9))
    with pytest.raises(ValueError, match=r"c_cell: padding \[3, 3\] is more than half"):
        CCell(in_shape=(2, 9, 9), padding=3)
