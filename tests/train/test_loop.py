"""What the loop tells and does, against a plain loop written out in the test."""

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
import torch.nn.functional as F

from cnntrain.core.errors import ConfigError, DataError
from cnntrain.optim import Warmup, parameter_groups
from cnntrain.optim.optimizers.sgd import sgd
from cnntrain.optim.schedules.cosine import cosine
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import (
    EpochDone,
    EvalDone,
    Learner,
    Recipe,
    RunDone,
    StepDone,
    StopRequest,
    train,
)
from cnntrain.train.evaluation import evaluate as evaluate_any

evaluate = partial(evaluate_any, task=CLASSIFICATION)


def test_same_weights_as_a_plain_loop(make_net: Callable, make_data: Callable) -> None:
    schedule, loader = Warmup(3, cosine(total_steps=12)), make_data(37)
    net = make_net(dropout=0.0)
    twin = copy.deepcopy(net)
    learner = Learner(net, sgd(groups=parameter_groups(net, weight_decay=0.01), momentum=0.9))
    recipe = Recipe(epochs=3, lr=0.1, schedule=schedule)
    events = list(train(learner, recipe=recipe, criterion=CrossEntropy(), loader=loader))

    velocity, step, losses = {}, 0, []
    for epoch in (1, 2, 3):
        for images, targets in loader.batches(epoch):
            twin.zero_grad()
            loss = F.cross_entropy(twin(images), targets)
            loss.backward()
            losses.append(float(loss.detach()))
            with torch.no_grad():
                for name, w in twin.named_parameters():
                    g = w.grad + (0.01 * w if w.ndim > 1 else 0.0)
                    velocity[name] = 0.9 * velocity.get(name, 0.0) + g
                    w -= 0.1 * schedule(step) * velocity[name]
            step += 1
    for name, value in twin.state_dict().items():
        torch.testing.assert_close(net.state_dict()[name], value, rtol=1e-4, atol=1e-6)
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [float(event.loss) for event in steps] == pytest.approx(losses, rel=1e-4)
    assert [event.lr for event in steps] == [0.1 * schedule(step) for step in range(15)]


def test_the_order_of_events(make_setup: Callable) -> None:
    setup = make_setup(epochs=3)
    recipe = replace(setup.recipe, evaluate_every=2)
    events = list(train(setup.learner, **{**setup.arguments, "recipe": recipe}))
    names = [type(event).__name__ for event in events]
    epoch = ["StepDone"] * 5
    assert names == [
        "RunStarted",
        *[*epoch, "EpochDone"],
        *[*epoch, "EvalDone", "EpochDone"],
        *[*epoch, "EvalDone", "EpochDone"],  # the last epoch is always evaluated
        "RunDone",
    ]
    steps = [event for event in events if isinstance(event, StepDone)]
    assert [(e.epoch, e.step, e.batch) for e in steps] == [
        (1 + i // 5, 1 + i, 1 + i % 5) for i in range(15)
    ]
    assert [event.images for event in steps[:5]] == [8, 8, 8, 8, 5]
    assert all(0 <= event.data_seconds <= event.seconds for event in steps)
    ends = [event for event in events if isinstance(event, EpochDone)]
    assert [event.images for event in ends] == [37, 37, 37]
    assert events[-1].reason == "finished"


def test_epoch_averages_are_over_images(make_net: Callable, make_data: Callable) -> None:
    net, loader = make_net(dropout=0.0), make_data(21)
    learner = Learner(net, sgd(groups=parameter_groups(net), momentum=0.0))
    recipe = Recipe(epochs=1, lr=0.0)
    events = list(train(learner, recipe=recipe, criterion=CrossEntropy(), loader=loader))
    steps = [event for event in events if isinstance(event, StepDone)]
    mean = sum(float(e.loss) * e.images for e in steps) / 21
    [end] = [event for event in events if isinstance(event, EpochDone)]
    assert end.train_loss == pytest.approx(mean)
    net.train()
    wrong = sum(int((net(x).argmax(1) != y).sum()) for x, y in loader.batches(1))
    assert end.train_figures == {"error": wrong / 21}
    assert end.validation is None
    assert not end.is_best


def test_the_best_epoch_is_that_of_the_lowest_error(make_setup: Callable) -> None:
    setup = make_setup(epochs=6)
    events = list(train(setup.learner, **setup.arguments))
    ends = [event for event in events if isinstance(event, EpochDone)]
    ranks = [(e.validation.error, e.validation.loss) for e in ends]
    assert [e.is_best for e in ends] == [
        rank == min(ranks[: i + 1]) for i, rank in enumerate(ranks)
    ]
    assert events[-1].best_epoch == 1 + ranks.index(min(ranks))
    assert events[-1].best_value == min(ranks)[0]


def linear_learner(lr: float) -> Learner:
    """No batch norm, no dropout: what it computes depends on its weights alone."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(36, 4))
    return Learner(net, sgd(groups=parameter_groups(net), momentum=0.0))


def test_of_equal_epochs_the_first_is_the_best(make_data: Callable) -> None:
    """Nothing is learnt at a rate of 0, so all epochs have the same error and loss."""
    events = list(
        train(
            linear_learner(0.0),
            recipe=Recipe(epochs=3, lr=0.0),
            criterion=CrossEntropy(),
            loader=make_data(16),
            validation=make_data(21),
        )
    )
    ends = [event for event in events if isinstance(event, EpochDone)]
    assert [end.is_best for end in ends] == [True, False, False]
    assert events[-1].best_epoch == 1


def test_the_norm_is_that_of_the_step_it_is_reported_with(make_data: Callable) -> None:
    """At a rate of 0 each gradient is that of the initial weights; autograd says which."""
    learner, loader = linear_learner(0.0), make_data(37)
    recipe = Recipe(epochs=1, lr=0.0, norm_every=2)
    events = list(train(learner, recipe=recipe, criterion=CrossEntropy(), loader=loader))
    norms = [event.grad_norm for event in events if isinstance(event, StepDone)]
    expected = []
    for images, targets in loader.batches(1):
        loss = F.cross_entropy(learner.model(images), targets)
        gradients = torch.autograd.grad(loss, list(learner.model.parameters()))
        expected.append(float(torch.cat([g.flatten() for g in gradients]).norm()))
    assert [norm is None for norm in norms] == [True, False, True, False, True]
    assert [float(norm) for norm in norms if norm is not None] == pytest.approx(expected[1::2])


def test_the_average_is_what_is_evaluated(make_setup: Callable) -> None:
    setup = make_setup(epochs=1)
    events = list(train(setup.learner, **setup.arguments))
    [result] = [event.metrics for event in events if isinstance(event, EvalDone)]
    assert setup.learner.ema is not None
    averaged = evaluate(setup.learner.ema.model, setup.validation, criterion=setup.criterion)
    assert result == averaged
    assert result != evaluate(setup.learner.model, setup.validation, criterion=setup.criterion)


def test_yields_leave_no_mode_behind(make_setup: Callable) -> None:
    setup = make_setup(precision="bfloat16", epochs=2)
    for _ in train(setup.learner, **setup.arguments):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        assert not torch.is_autocast_enabled("cpu")
        assert setup.learner.model.training or setup.learner.state.step == 0
        assert all(p.grad is None or p.grad.isfinite().all() for p in setup.learner.parameters())


def test_a_stop_is_obeyed_in_every_phase(make_setup: Callable) -> None:
    # before the first batch, in the middle of an epoch, in an evaluation, after an epoch
    count = len(list(train((s := make_setup(epochs=2)).learner, **s.arguments)))
    for position in range(count - 1):
        setup, stop = make_setup(epochs=2), StopRequest()
        events = []
        for event in train(setup.learner, **setup.arguments, stop=stop):
            events.append(type(event))
            if len(events) == position + 1:
                stop.request()
        # An epoch that was evaluated is still reported.
        after = [EpochDone, RunDone] if events[position] is EvalDone else [RunDone]
        assert events[position + 1 :] == after

    class Stopping:
        size, batches_per_epoch = 21, 3

        def batches(self, epoch, *, start=0):
            for batch in setup.validation.batches(epoch, start=start):
                stop.request()
                yield batch

    setup, stop = make_setup(epochs=2), StopRequest()
    events = list(train(setup.learner, **{**setup.arguments, "validation": Stopping()}, stop=stop))
    assert [type(event).__name__ for event in events[-2:]] == ["StepDone", "RunDone"]
    assert (events[-1].reason, events[-1].epoch, events[-1].step) == ("stopped", 0, 5)


def test_frozen_modules_keep_their_statistics(make_setup: Callable) -> None:
    setup = make_setup(epochs=1)
    norm = setup.learner.model.norm1
    norm.frozen = True
    before = norm.running_mean.clone()
    list(train(setup.learner, **setup.arguments))
    assert torch.equal(norm.running_mean, before)


def test_a_wrapper_trains_the_same_weights(make_setup: Callable) -> None:
    class Wrapper(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def forward(self, x):
            return self.inner(x)

    plain, wrapped = make_setup(epochs=1), make_setup(epochs=1)
    old = wrapped.learner
    wrapped.learner = Learner(old.model, old.optimizer, compiled=Wrapper(old.model), ema=old.ema)
    torch.manual_seed(5)
    list(train(plain.learner, **plain.arguments))
    torch.manual_seed(5)
    list(train(wrapped.learner, **wrapped.arguments))
    ours, theirs = plain.learner.model.state_dict(), wrapped.learner.model.state_dict()
    assert ours.keys() == theirs.keys()  # the wrapper's prefix is not in them
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_impossible_recipes(make_data: Callable, make_net: Callable) -> None:
    with pytest.raises(ConfigError, match="accumulate must be at least 1, got 0"):
        Recipe(epochs=1, lr=0.1, accumulate=0)
    net = make_net()
    learner = Learner(net, sgd(groups=parameter_groups(net), momentum=0.0))
    empty = make_data(0)
    with pytest.raises(DataError, match="yields no batches"):
        next(
            train(learner, recipe=Recipe(epochs=1, lr=0.1), criterion=CrossEntropy(), loader=empty)
        )
