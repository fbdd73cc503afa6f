"""Expected values: the update formulas, written out by hand in float64."""

import copy

import pytest
import torch
from torch import nn

from cnntrain.core.choices import ChoiceError
from cnntrain.optim import decayed_weights, parameter_groups, set_learning_rate
from cnntrain.optim.optimizers.adam import adam
from cnntrain.optim.optimizers.adamw import adamw
from cnntrain.optim.optimizers.sgd import sgd


class Point(nn.Module):
    def __init__(self, *values: float) -> None:
        super().__init__()
        self.place = nn.Parameter(torch.tensor(values, dtype=torch.float64))


def descend(model, optimizer, steps, loss, *, lr=0.1):
    set_learning_rate(optimizer, lr)
    for _ in range(steps):
        optimizer.zero_grad(set_to_none=True)
        loss(model.place).backward()
        optimizer.step()
    return model.place.detach().tolist()


def test_momentum_is_the_fresh_one() -> None:
    # L = theta^2, theta = 1, lr = 0.1, momentum 0.9, by hand: v = 2, 3.4, 3.98;
    # theta = 0.8, 0.46, 0.062. Updating with the stale v instead would give 0.42.
    model = Point(1.0)
    optimizer = sgd(groups=parameter_groups(model), momentum=0.9)
    assert descend(model, optimizer, 3, lambda w: (w * w).sum()) == pytest.approx([0.062])


def test_a_penalty_lambda_w2_is_a_weight_decay_of_2_lambda() -> None:
    penalised, decayed = Point(1.5, -0.5), Point(1.5, -0.5)
    one = sgd(groups=parameter_groups(penalised), momentum=0.9)
    two = sgd(groups=parameter_groups(decayed, weight_decay=2 * 0.05), momentum=0.9)
    expected = descend(penalised, one, 5, lambda w: w.sin().sum() + 0.05 * (w * w).sum())
    assert descend(decayed, two, 5, lambda w: w.sin().sum()) == pytest.approx(expected)


def test_nesterov() -> None:
    w, v = 1.0, 0.0
    for _ in range(4):
        g = 2 * w
        v = 0.9 * v + g
        w -= 0.05 * (g + 0.9 * v)
    model = Point(1.0)
    optimizer = sgd(groups=parameter_groups(model), momentum=0.9, nesterov=True)
    assert descend(model, optimizer, 4, lambda w: (w * w).sum(), lr=0.05) == pytest.approx([w])
    with pytest.raises(ChoiceError, match="nesterov needs a momentum"):
        sgd(groups=parameter_groups(model), momentum=0.0, nesterov=True)


@pytest.mark.parametrize("decoupled", [False, True])
def test_adam_and_adamw(decoupled: bool) -> None:
    w, m, s, decay, lr = 1.0, 0.0, 0.0, 0.1, 0.05
    for t in range(1, 6):
        g = 2 * w + (0.0 if decoupled else decay * w)
        w -= lr * decay * w if decoupled else 0.0
        m, s = 0.8 * m + 0.2 * g, 0.9 * s + 0.1 * g * g
        w -= lr * (m / (1 - 0.8**t)) / ((s / (1 - 0.9**t)) ** 0.5 + 1e-8)
    model = Point(1.0)
    make = adamw if decoupled else adam
    optimizer = make(groups=parameter_groups(model, weight_decay=decay), betas=(0.8, 0.9))
    assert descend(model, optimizer, 5, lambda w: (w * w).sum(), lr=lr) == pytest.approx([w])


@pytest.mark.parametrize("make", [sgd, adam, adamw])
def test_all_are_fused_and_skip_a_marked_step(make) -> None:
    # What divergence detection and float16 scaling rely on, also in the very first step, after
    # which torch's own first momentum buffer would be uninitialised memory.
    model, twin = Point(1.0, 2.0), Point(1.0, 2.0)
    options = {"momentum": 0.9} if make is sgd else {}
    optimizer, other = (make(groups=parameter_groups(m), **options) for m in (model, twin))
    assert all(group["fused"] for group in optimizer.param_groups)
    optimizer.found_inf = torch.ones(())
    model.place.grad = torch.full((2,), float("nan"), dtype=torch.float64)
    optimizer.step()
    assert model.place.tolist() == [1.0, 2.0]
    optimizer.found_inf.zero_()
    expected = descend(twin, other, 3, lambda w: (w * w).sum())
    assert descend(model, optimizer, 3, lambda w: (w * w).sum()) == expected


def test_learning_rate_of_groups() -> None:
    net = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    groups = parameter_groups(net, weight_decay=0.1)
    groups[0]["lr_factor"] = 0.25
    optimizer = sgd(groups=groups, momentum=0.0)
    set_learning_rate(optimizer, 0.5)
    assert [group["lr"] for group in optimizer.param_groups] == [0.125, 0.5]
    assert [w.ndim for w in decayed_weights(optimizer)] == [2, 2]


@pytest.mark.parametrize("make", [sgd, adam, adamw])
def test_groups_that_are_treated_equally_are_one(make) -> None:
    """The same weights, bit for bit, as from torch's own optimizer over the groups as they were."""
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    own = {sgd: {"momentum": 0.9}, adam: {}, adamw: {}}[make]
    for decay, count in ((0.0, 1), (0.1, 2)):
        one, other = copy.deepcopy(net), copy.deepcopy(net)
        optimizer = make(groups=parameter_groups(one, weight_decay=decay), **own)
        assert len(optimizer.param_groups) == count
        assert [w.ndim for w in decayed_weights(optimizer)] == [2, 2]
        separate = parameter_groups(other, weight_decay=decay)
        assert len(separate) == 2
        kind = type(optimizer)
        given = {**own, "lr": 0.1, "fused": True}
        theirs = kind([dict(group) for group in separate], **given)
        set_learning_rate(optimizer, 0.1)
        images = torch.randn(6, 3)
        for _ in range(3):
            for model, steps in ((one, optimizer), (other, theirs)):
                steps.zero_grad()
                model(images).square().sum().backward()
                steps.step()
        for mine, its in zip(one.parameters(), other.parameters(), strict=True):
            assert torch.equal(mine, its)
