"""Optimizers that walk downhill, and such as do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adam

from cnntrain.core.choices import OPTIMIZERS
from cnntrain.diagnose import optimizer_sense
from cnntrain.diagnose.diagnose import examine
from cnntrain.diagnose.optimizer_sense import wrong_optimizer
from cnntrain.optim import parameter_groups
from cnntrain.optim.groups import merged
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Recipe
from cnntrain.train.briefly import Method


def said(make: Callable[[Any], Any], rate: float = 0.01) -> list[str]:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 4))
    before = [each.clone() for each in net.parameters()]

    def made(model: nn.Module) -> Any:
        return make(merged(parameter_groups(model)))

    method = Method(made, CrossEntropy(), Recipe(epochs=1, lr=rate))
    found = [each.headline for each in wrong_optimizer(net, method, name="mine")]
    assert all(torch.equal(a, b) for a, b in zip(before, net.parameters(), strict=True))
    return found


@pytest.mark.parametrize("rate", [1e-4, 1e-3, 0.1])
@pytest.mark.parametrize("name", [entry.name for entry in OPTIMIZERS.entries()])
def test_all_optimizers_are_sound(name: str, rate: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer_sense, "is_of_others", lambda _: True)
    net = nn.Sequential(nn.Linear(20, 10), nn.ReLU(), nn.Linear(10, 4))
    make = OPTIMIZERS.load(name)
    method = Method(
        lambda model: make(groups=parameter_groups(model)),
        CrossEntropy(),
        Recipe(epochs=1, lr=rate),
    )
    assert list(wrong_optimizer(net, method, name=name)) == []


class Uphill(SGD):
    """The wrong sign."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for each in group["params"]:
                each.grad = -each.grad
        super().step()


class Growing(Adam):
    """Decay of the wrong sign."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        super().step()
        for group in self.param_groups:
            for each in group["params"]:
                each.mul_(1 + 0.2 * group["lr"])


class Noisy(SGD):
    """Noise on each gradient."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for each in group["params"]:
                each.grad = each.grad + torch.randn_like(each)
        super().step()


class Seldom(SGD):
    """Every so many batches."""

    times, every = 0, 20

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        self.times += 1
        if self.times % self.every == 0:
            super().step()


class Sometimes(Seldom):
    """Gradients of three batches are gathered."""

    every = 3


class SetBack(SGD):
    """What eight steps did is taken back."""

    times = 0

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for each in group["params"]:
                if self.times % 8 == 0:
                    self.state[each].setdefault("slow", each.clone())
                    each.copy_(self.state[each]["slow"])
        self.times += 1
        super().step()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (Uphill, "'mine' goes uphill"),
        (Growing, "'mine' lets weights grow that have no gradient"),
        (Noisy, "'mine' lets weights move that have no gradient"),
        (Seldom, "'mine' moves the weights in 5% of the steps"),
        (Sometimes, "'mine' moves the weights in 33% of the steps"),
        (SetBack, "'mine' takes back its own steps"),
    ],
)
def test_what_is_wrong_is_named(make: Any, expected: str) -> None:
    assert said(lambda parameters: make(parameters, lr=0.1), rate=0.1) == [expected]


def test_torchs_own_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optimizer_sense, "STAYS", -2.0)
    assert said(lambda parameters: Adam(parameters, lr=0.1)) == []
    assert said(lambda parameters: Noisy(parameters, lr=0.1)) != []


def test_what_wants_a_closure_is_not_judged() -> None:
    class Wants(SGD):
        def step(self, closure: Any = None) -> None:  # type: ignore[override]
            closure()

    assert said(lambda parameters: Wants(parameters, lr=0.1)) == []


PLUGIN = '''
from torch import Tensor

from cnntrain.optim import optimizer
from cnntrain.optim.guarded import GuardedOptimizer


@optimizer("grows")
class Grows(GuardedOptimizer):
    """Decay of the wrong sign."""

    def __init__(self, *, groups) -> None:
        super().__init__(groups, {})

    def start(self, parameter, group):
        return {}

    def move(self, parameter, gradient, buffers, group):
        return parameter * (1 + group["lr"]) - group["lr"] * gradient, buffers
'''


def test_the_optimizer_of_a_plugin_is_asked(run_file: Callable[..., Any], tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    file = run_file({"train.optimizer": {"name": "grows", "lr": 0.05}, "plugins": [str(plugin)]})
    found = examine(file, checks=["arithmetic"]).findings
    (finding,) = [each for each in found if each.fault == "wrong_optimizer"]
    assert finding.headline == "'grows' lets weights grow that have no gradient"
    assert finding.overrides == ("train.optimizer={name: adam, lr: 0.001}",)
