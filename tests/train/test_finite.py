"""Divergence is noticed in its step, named at its layer, and never reaches the weights."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import nn

from cnntrain.core.choices import OPTIMIZERS
from cnntrain.core.errors import CnntrainError, DivergedError
from cnntrain.optim import Warmup, parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.optim.schedules.constant import constant
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import Learner, Recipe, StepDone, snapshot, train
from cnntrain.train.finite import all_finite, mark_non_finite


class Spoil(nn.Module):
    """The identity, until the mean of its input is large; then NaN forward or backward."""

    def __init__(self, *, backward: bool = False) -> None:
        super().__init__()
        self.backward = backward

    def forward(self, x):
        if float(x.detach().abs().mean()) < 50:
            return x
        if self.backward:
            return x + (x - x.detach()).sqrt()  # value 0, derivative 1 / (2 sqrt 0) = inf
        return x * float("nan")


def spoiled_learner(make=sgd, **spoil) -> Learner:
    torch.manual_seed(0)
    net = nn.Sequential()
    net.add_module("conv1", nn.Conv2d(1, 4, 3))
    net.add_module("norm1", nn.BatchNorm2d(4, affine=False, momentum=0.0))
    net.add_module("scale1", nn.Identity())
    net.add_module("flatten1", nn.Flatten())
    net.add_module("fc1", nn.Linear(64, 4))
    net.insert(0, Spoil(**spoil)) if spoil else None
    return Learner(net, make(groups=parameter_groups(net)))


def run(learner, loader, **recipe):
    steps = []

    def follow() -> None:
        settings = Recipe(epochs=3, lr=0.01, **recipe)
        for event in train(learner, recipe=settings, criterion=CrossEntropy(), loader=loader):
            if isinstance(event, StepDone):
                steps.append([p.detach().clone() for p in learner.parameters()])

    with pytest.raises(CnntrainError) as caught:
        follow()
    assert caught.value.exit_code == (3 if "the input images" in str(caught.value) else 5)
    return str(caught.value), steps


def weights_are(learner, copies) -> bool:
    return all(torch.equal(p, c) for p, c in zip(learner.parameters(), copies, strict=True))


@pytest.mark.parametrize("make", [OPTIMIZERS.load(name) for name in OPTIMIZERS.names()])
def test_a_spoiled_image(make_data: Callable, make) -> None:
    loader, learner = make_data(37), spoiled_learner(make)
    loader.changes[2, 1] = lambda images: images.index_fill(0, torch.tensor([3]), float("inf"))
    message, steps = run(learner, loader)
    assert message == (
        "training diverged at step 7 (epoch 2, batch 2, learning rate 0.01, gradient norm nan): "
        "the input images [3] of the batch hold values that are not finite; "
        "look at the data and at the transforms: 'cnntrain data check'"
    )
    assert len(steps) == 6
    assert weights_are(learner, steps[-1])


def test_a_layers_output(make_data: Callable) -> None:
    loader, learner = make_data(37), spoiled_learner()
    learner.model.scale1 = Spoil()
    loader.changes[1, 3] = lambda images: images * 1e4
    learner.model.norm1 = nn.Identity()
    message, steps = run(learner, loader)
    assert "diverged at step 4 (epoch 1, batch 4," in message
    assert "the output of layer 'scale1' (Spoil) is not finite" in message
    assert message.endswith(
        "; try train.optimizer.lr: 0.001, or train.schedule.warmup_epochs: 1, "
        "or train.clip_norm: 1.0, or batch_norm after the convolutions, or "
        "train.on_divergence: rollback"
    )
    assert weights_are(learner, steps[-1])


def test_the_remedy_is_nothing_that_is_there_already(make_data: Callable) -> None:
    """In the fourth step of a warm-up of 8 the rate is 4 / 9 of 0.01; the net has a batch norm."""
    loader, learner = make_data(37), spoiled_learner()
    loader.changes[1, 3] = lambda images: images * 1e36
    learner.model.conv1.weight.data *= 1e4
    message, _ = run(learner, loader, schedule=Warmup(8, constant()), clip_norm=1.0)
    assert "learning rate 0.00444, " in message
    assert message.endswith("; try train.optimizer.lr: 0.001, or train.on_divergence: rollback")


def test_a_layers_gradient(make_data: Callable) -> None:
    loader, learner = make_data(37), spoiled_learner()
    learner.model.norm1 = nn.Identity()
    learner.model.scale1 = Spoil(backward=True)
    loader.changes[1, 3] = lambda images: images * 1e4
    message, steps = run(learner, loader, norm_every=1)
    assert "the gradient that layer 'scale1' (Spoil) passes back is not finite" in message
    assert weights_are(learner, steps[-1])


def test_a_gradient_that_nobody_looked_at_shows_in_the_next_step(make_data: Callable) -> None:
    loader, learner = make_data(37), spoiled_learner()
    learner.model.norm1 = nn.Identity()
    learner.model.scale1 = Spoil(backward=True)
    loader.changes[1, 3] = lambda images: images * 1e4
    message, steps = run(learner, loader, norm_every=0)
    assert "diverged at step 5" in message
    assert (
        "the parameter 'conv1.weight' is not finite, so a gradient was not in the step" in message
    )
    assert len(steps) == 4


def test_a_weight(make_data: Callable) -> None:
    learner = spoiled_learner()
    with torch.no_grad():
        learner.model.fc1.weight[0, 0] = float("nan")
    message, _ = run(learner, make_data(37))
    assert "the parameter 'fc1.weight' is not finite" in message


def test_the_loss_alone(make_data: Callable) -> None:
    class Overflow(CrossEntropy):
        def __call__(self, logits, targets, /):
            return super().__call__(logits, targets) * float("inf")

    learner, loader = spoiled_learner(), make_data(37)
    before = [p.detach().clone() for p in learner.parameters()]
    with pytest.raises(DivergedError, match="the loss is not finite, though the network's outputs"):
        list(train(learner, recipe=Recipe(epochs=1, lr=0.1), criterion=Overflow(), loader=loader))
    assert weights_are(learner, before)


@pytest.mark.parametrize("check_every", [1, 4, 100])
def test_a_late_look_finds_the_same_step(make_data, monkeypatch, check_every) -> None:
    """As on an accelerator, where the flag is looked at every few steps."""
    loader, learner = make_data(37), spoiled_learner()
    loader.changes[2, 1] = lambda images: images * float("nan")
    monkeypatch.setattr(
        learner, "device", torch.device("meta")
    )  # not the CPU; float32: no autocast
    message, steps = run(learner, loader, check_every=check_every)
    assert "diverged at step 7 (epoch 2, batch 2," in message
    assert len(steps) == {1: 6, 4: 7, 100: 10}[check_every]
    assert weights_are(learner, steps[5])


def test_a_wild_learning_rate_ends_finite(make_setup: Callable) -> None:
    setup = make_setup()
    recipe = replace(setup.recipe, lr=1e30, clip_norm=None, l1=0.0)
    with pytest.raises(DivergedError, match="diverged at step"):
        list(train(setup.learner, **{**setup.arguments, "recipe": recipe}))


def test_float16_suggests_a_wider_range(make_data: Callable) -> None:
    learner = spoiled_learner()
    learner = Learner(learner.model, learner.optimizer, precision="float16")
    learner.model.norm1 = nn.Identity()
    loader = make_data(37)
    loader.changes[1, 2] = lambda images: images * 1e7  # beyond 65504
    message, steps = run(learner, loader)
    assert "compute.precision: bfloat16 or float32, whose range is larger" in message
    assert weights_are(learner, steps[-1])


def test_no_checkpoint_of_a_diverged_run(make_setup: Callable) -> None:
    setup = make_setup()
    snapshot(setup.learner)
    setup.learner.model.norm1.running_var[0] = float("inf")
    with pytest.raises(DivergedError, match="its state is not saved"):
        snapshot(setup.learner)
    other = make_setup()
    other.learner.state.diverged.fill_(1.0)
    with pytest.raises(DivergedError, match="its state is not saved"):
        snapshot(other.learner)


def test_the_mark_is_sticky_and_changes_nothing() -> None:
    flag, values = torch.zeros(()), torch.randn(7, 3)
    before = values.clone()
    mark_non_finite([torch.tensor(1.0), values], flag=flag)
    assert not flag
    assert torch.equal(values, before)
    mark_non_finite([torch.tensor(float("inf")), values], flag=flag)
    mark_non_finite([values], flag=flag)
    assert flag == 1.0
    assert all_finite([values, torch.tensor([1])])
    assert not all_finite([values, torch.tensor([float("nan")])])
