"""rmsprop, lion, lamb and muon, against torch's own or the papers' formulas in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.core.choices import OPTIMIZERS
from cnntrain.optim import parameter_groups, set_learning_rate
from cnntrain.optim.optimizers.lamb import Lamb
from cnntrain.optim.optimizers.lion import Lion
from cnntrain.optim.optimizers.muon import COEFFICIENTS, Muon, orthogonal
from cnntrain.optim.optimizers.rmsprop import RMSprop

LR, STEPS = 0.02, 12
OURS = {"rmsprop": RMSprop, "lion": Lion, "lamb": Lamb, "muon": Muon}


def make_net(dtype: torch.dtype = torch.float64) -> nn.Sequential:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(36, 6, bias=False)
    ).to(dtype)


def loss_of(net: nn.Module, step: int) -> Tensor:
    generator = torch.Generator().manual_seed(step)
    images = torch.randn(5, 2, 5, 5, generator=generator, dtype=torch.float64)
    return net(images.to(next(net.parameters()).dtype)).sin().square().sum()


def trained(net: nn.Module, optimizer: torch.optim.Optimizer) -> list[Tensor]:
    for step in range(STEPS):
        optimizer.zero_grad()
        loss_of(net, step).backward()
        optimizer.step()
    return [parameter.detach() for parameter in net.parameters()]


def ours(name: str, decay: float = 0.01, **options: Any) -> list[Tensor]:
    net = make_net()
    groups = parameter_groups(net, weight_decay=decay, decay_norm_and_bias=True)
    optimizer = OURS[name](groups=groups, **options)
    set_learning_rate(optimizer, LR)
    return trained(net, optimizer)


def by_formula(update: Callable[[Tensor, Tensor, dict[str, Any], int], Tensor]) -> list[Tensor]:
    net = make_net()
    states: list[dict[str, Any]] = [{} for _ in net.parameters()]
    for step in range(STEPS):
        net.zero_grad()
        loss_of(net, step).backward()
        with torch.no_grad():
            for parameter, state in zip(net.parameters(), states, strict=True):
                parameter.copy_(update(parameter.clone(), parameter.grad, state, step + 1))
    return [parameter.detach() for parameter in net.parameters()]


def difference(one: list[Tensor], other: list[Tensor]) -> float:
    return max(float((a - b).abs().max()) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("centered", [False, True])
def test_rmsprop_is_torchs(momentum: float, centered: bool) -> None:
    net = make_net()
    theirs = torch.optim.RMSprop(
        net.parameters(), lr=LR, momentum=momentum, centered=centered, weight_decay=0.01
    )
    found = ours("rmsprop", momentum=momentum, centered=centered)
    assert difference(found, trained(net, theirs)) < 1e-8  # the root amplifies rounding errors


def test_lion_is_the_papers_algorithm() -> None:
    """Chen et al. 2023, algorithm 2, line by line."""

    def update(w: Tensor, g: Tensor, state: dict[str, Any], step: int) -> Tensor:
        m = state.setdefault("m", torch.zeros_like(w))
        c = 0.9 * m + (1 - 0.9) * g
        state["m"] = 0.99 * m + (1 - 0.99) * g
        return w - LR * (torch.sign(c) + 0.01 * w)

    assert difference(ours("lion"), by_formula(update)) < 1e-14


def test_lamb_is_the_papers_algorithm() -> None:
    """You et al. 2020, algorithm 2, line by line; phi is the identity."""

    def update(w: Tensor, g: Tensor, state: dict[str, Any], step: int) -> Tensor:
        state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * g
        state["v"] = 0.999 * state.get("v", 0.0) + 0.001 * g * g
        m, v = state["m"] / (1 - 0.9**step), state["v"] / (1 - 0.999**step)
        r = m / (v.sqrt() + 1e-6) + 0.01 * w
        return w - LR * float(w.norm() / r.norm()) * r

    # the steps are counted in float32, as in torch's fused Adam
    assert difference(ours("lamb"), by_formula(update)) < 1e-5


def test_lamb_does_not_scale_what_does_not_decay() -> None:
    """A bias of 0 would have a ratio of 0 or 1: it takes Adam's first step, of lr."""
    net = nn.Sequential(nn.Linear(2, 2))
    nn.init.constant_(net[0].bias, 1e-3)
    optimizer = Lamb(groups=parameter_groups(net, weight_decay=0.1))
    set_learning_rate(optimizer, 0.5)
    net(torch.ones(1, 2)).sum().backward()
    optimizer.step()
    assert net[0].bias.tolist() == pytest.approx([1e-3 - 0.5] * 2, rel=1e-5)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("scale", ["match_rms_adamw", "original"])
def test_muon_is_its_formula(nesterov: bool, scale: str) -> None:
    """Matrices by the singular values, which become those of a polynomial; the rest is AdamW's."""

    def polynomial(s: Tensor) -> Tensor:
        a, b, c = COEFFICIENTS
        for _ in range(5):
            s = a * s + b * s**3 + c * s**5
        return s

    def update(w: Tensor, g: Tensor, state: dict[str, Any], step: int) -> Tensor:
        if w.ndim < 2:
            state["m"] = 0.9 * state.get("m", 0.0) + 0.1 * g
            state["v"] = 0.999 * state.get("v", 0.0) + 0.001 * g * g
            m, v = state["m"] / (1 - 0.9**step), state["v"] / (1 - 0.999**step)
            return w * (1 - LR * 0.01) - LR * m / (v.sqrt() + 1e-8)
        state["m"] = 0.95 * state.get("m", torch.zeros_like(w)) + 0.05 * g
        u = 0.05 * g + 0.95 * state["m"] if nesterov else state["m"]
        left, values, right = torch.linalg.svd(u.flatten(1), full_matrices=False)
        o = left @ torch.diag(polynomial(values / values.norm())) @ right
        rows, columns = o.shape
        factor = math.sqrt(max(1, rows / columns))
        factor = 0.2 * math.sqrt(max(rows, columns)) if scale == "match_rms_adamw" else factor
        return w * (1 - LR * 0.01) - LR * factor * o.view(w.shape)

    found = ours("muon", nesterov=nesterov, scale=scale)
    matrices = [0, 2]
    expected = by_formula(update)
    assert difference([found[i] for i in matrices], [expected[i] for i in matrices]) < 1e-4
    assert difference(found, expected) < 1e-4  # Adam's steps are counted in float32


@pytest.mark.parametrize("shape", [(6, 40), (40, 6), (7, 7)])
def test_muons_singular_values_are_about_1(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape), steps=5))
    assert float(values.min()) > 0.6
    assert float(values.max()) < 1.25


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this torch has no Muon")
@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("scale", ["match_rms_adamw", "original"])
def test_muon_is_torchs(nesterov: bool, scale: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's has matrices only, and iterates in bfloat16: here it is made to keep float64."""
    monkeypatch.setattr(Tensor, "bfloat16", Tensor.clone)
    options = {"lr": LR, "weight_decay": 0.1, "nesterov": nesterov, "adjust_lr_fn": scale}
    nets = [nn.Sequential(nn.Flatten(), nn.Linear(50, 9, bias=False)).double() for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())
    groups = parameter_groups(nets[0], weight_decay=0.1)
    mine = Muon(groups=groups, nesterov=nesterov, scale=scale)
    set_learning_rate(mine, LR)
    theirs = torch.optim.Muon(nets[1].parameters(), **options)
    assert difference(trained(nets[0], mine), trained(nets[1], theirs)) < 1e-11


@pytest.mark.parametrize("name", sorted(OPTIMIZERS.names()))
def test_a_marked_step_changes_nothing(name: str) -> None:
    """What divergence detection relies on, in the first step and in a later one."""
    net = make_net(torch.float32)
    optimizer = OPTIMIZERS.load(name)(groups=parameter_groups(net, weight_decay=0.1))
    set_learning_rate(optimizer, LR)
    optimizer.found_inf = torch.zeros(())
    for _ in range(2):
        optimizer.found_inf.fill_(1.0)
        before = [parameter.detach().clone() for parameter in net.parameters()]
        buffers = [{k: v.clone() for k, v in optimizer.state[p].items()} for p in net.parameters()]
        for parameter in net.parameters():
            parameter.grad = torch.full_like(parameter, float("nan"))
        optimizer.step()
        for parameter, old, kept in zip(net.parameters(), before, buffers, strict=True):
            assert torch.equal(parameter, old)
            for key, value in kept.items():
                assert torch.equal(optimizer.state[parameter][key], value), key
        optimizer.found_inf.zero_()
        optimizer.zero_grad()
        loss_of(net, 0).backward()
        optimizer.step()
        moved = [not torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True)]
        assert all(moved)
