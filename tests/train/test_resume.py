"""A resumed run is the same run: every tensor, bit for bit (atol = 0), on the CPU."""

import copy
import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from cnntrain.checkpoint import load, save
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.adam import adam
from cnntrain.optim.schedules.plateau import Plateau
from cnntrain.train import (
    EarlyStop,
    EpochDone,
    Learner,
    RunDone,
    StepDone,
    StopRequest,
    restore,
    snapshot,
    train,
)

TIMES = {"seconds", "data_seconds", "run_seconds"}


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    elif path[-1] not in TIMES:
        yield path, value


def differences(first, second):
    ours, theirs = dict(leaves(first)), dict(leaves(second))
    assert ours.keys() == theirs.keys()
    return [path for path, value in ours.items() if not same(value, theirs[path])]


def same(first, second):
    if isinstance(first, Tensor):
        return first.dtype == second.dtype and torch.equal(first, second)
    return type(first) is type(second) and first == second


def run_until(setup, *, steps=None, epochs=None):
    """Train; ask to stop at a step; give the events and a copy of the final snapshot."""
    stop, events = StopRequest(), []
    arguments = setup.arguments
    for event in train(setup.learner, **arguments, stop=stop):
        events.append(event)
        if isinstance(event, StepDone) and event.step == steps:
            stop.request()
        if isinstance(event, EpochDone) and event.epoch == epochs:
            stop.request()
    return events, copy.deepcopy(snapshot(setup.learner))


def resumed(make_setup, state, **options):
    setup = make_setup(**options)
    torch.manual_seed(99)  # a fresh process draws other numbers until the states are restored
    restore(setup.learner, state)
    return setup


OPTIONS = [{}, {"precision": "float16"}, {"precision": "bfloat16"}, {"accumulate": 3}]


@pytest.mark.parametrize("options", OPTIONS, ids=["float32", "float16", "bfloat16", "accumulate"])
def test_two_and_two_epochs_are_four(make_setup: Callable, tmp_path, options) -> None:
    whole_events, whole = run_until(make_setup(**options))
    _, half = run_until(make_setup(**options), epochs=2)
    save(tmp_path / "last.pt", half)
    events, both = run_until(resumed(make_setup, load(tmp_path / "last.pt"), **options))
    assert differences(whole, both) == []
    assert outcomes(events) == outcomes(whole_events)[2:]


@pytest.mark.parametrize("options", OPTIONS, ids=["float32", "float16", "bfloat16", "accumulate"])
@pytest.mark.parametrize("stops", [(3, 4), (5, 17), (2, 20)], ids=str)
def test_stopped_twice_in_the_middle(make_setup: Callable, tmp_path, stops, options) -> None:
    # 5 steps an epoch: stops in mid-epoch twice in one epoch, at the end of an epoch before its
    # evaluation, and before the evaluation of the whole run.
    whole_events, whole = run_until(make_setup(**options))
    setup, events = make_setup(**options), []
    for step in stops:
        part, state = run_until(setup, steps=step)
        assert isinstance(part[-1], RunDone)
        assert (part[-1].reason, part[-1].step) == ("stopped", step)
        events += part
        save(tmp_path / "last.pt", state)
        setup = resumed(make_setup, load(tmp_path / "last.pt"), **options)
    part, last = run_until(setup)
    assert differences(whole, last) == []
    assert outcomes(events + part) == outcomes(whole_events)


def outcomes(events):
    """What each epoch reported, without the times."""
    return [
        (e.epoch, e.step, e.train_loss, e.train_figures, e.lr, e.validation, e.is_best, e.images)
        for e in events
        if isinstance(e, EpochDone)
    ]


def test_every_event_is_a_place_to_save(make_setup: Callable) -> None:
    _, whole = run_until(make_setup())
    # 1 start + 4 epochs of 5 steps, evaluation and end, + 1 end
    for count in [*range(1, 16), 27, 30]:
        setup = make_setup()
        for _ in itertools.islice(train(setup.learner, **setup.arguments), count):
            pass
        state = copy.deepcopy(snapshot(setup.learner))
        _, last = run_until(resumed(make_setup, state))
        assert differences(whole, last) == [], f"saved at event {count}"


def test_the_run_changes_all_that_the_comparison_looks_at(make_setup: Callable) -> None:
    # Otherwise equality would prove nothing: plateau dropped, best found, statistics moved.
    before = copy.deepcopy(snapshot(make_setup().learner))
    _, after = run_until(make_setup())
    changed = {
        path[:2]
        for path in differences(
            before,
            {
                **after,
                "optimizer": before["optimizer"],
                "train": {**after["train"], "so_far": before["train"]["so_far"]},
            },
        )
    }
    for name in ("epoch", "step", "lr", "best_epoch", "plateau", "early_stop"):
        assert ("train", name) in changed
    assert after["train"]["plateau"]["drops"] > 0
    assert ("random", "torch") in changed


DROPPED = {
    "weights": lambda s: s["model"]["fc1.weight"].zero_(),
    "batch norm's mean": lambda s: s["model"]["norm1.running_mean"].zero_(),
    "average": lambda s: s["ema"]["fc1.weight"].zero_(),
    "momentum": lambda s: s["optimizer"]["buffers"]["conv1.weight"]["momentum_buffer"].zero_(),
    "random state": lambda s: s["random"].update(torch=torch.get_rng_state().zero_()),
    "scale": lambda s: s["scaler"].update(scale=8.0),
    "scale's growth": lambda s: s["scaler"].update(_growth_tracker=70),
    "epoch": lambda s: s["train"].update(epoch=1),
    "step": lambda s: s["train"].update(step=1),
    "batch": lambda s: s["train"].update(batch=0),
    "images": lambda s: s["train"].update(images=0),
    "loss sum": lambda s: s["train"]["loss_sum"].zero_(),
    "weight sum": lambda s: s["train"].update(weight_sum=0.0),
    "wrong": lambda s: s["train"]["wrong"].zero_(),
    "best": lambda s: s["train"].update(best_epoch=1, best_error=0.0, best_loss=0.0),
    "epochs so far": lambda s: s["train"]["so_far"].update(images=0),
    "plateau": lambda s: s["train"].update(plateau={"best": None, "stale": 0, "drops": 0}),
    "early stop": lambda s: s["train"].update(early_stop={"best": None, "stale": 0}),
}


@pytest.mark.parametrize("name", DROPPED)
def test_negative_control(make_setup: Callable, name: str) -> None:
    """Each field matters: losing it must show in the final state or in what was reported.

    `lr` is not among them: it is written before every step, and saved to be compared and shown.
    """
    whole_events, whole = run_until(make_setup(precision="float16"))
    _, half = run_until(make_setup(precision="float16"), steps=13)
    DROPPED[name](half)
    setup = make_setup(precision="float16")
    try:
        events, last = run_until(resumed(lambda **_: setup, half))
    except CheckpointError:
        return  # an invalid generator state is refused
    reported = outcomes(events) != outcomes(whole_events)[2:]
    assert reported or differences(whole, last) != []


def test_a_run_goes_on_to_more_epochs(make_setup: Callable) -> None:
    _, state = run_until(make_setup(epochs=2))
    events, last = run_until(resumed(make_setup, state, epochs=4))
    assert [e.epoch for e in events if isinstance(e, EpochDone)] == [3, 4]
    assert events[-1].reason == "finished"
    _, whole = run_until(make_setup(epochs=4))
    assert differences(whole, last) == []


def test_numbers_of_the_recipe_are_obeyed_on_resume(make_setup: Callable) -> None:
    _, state = run_until(make_setup(), epochs=1)
    setup = make_setup()
    setup.learner.optimizer.param_groups[0]["momentum"] = 0.5
    setup.learner.optimizer.param_groups[0]["weight_decay"] = 0.25
    restore(setup.learner, state)
    assert setup.learner.optimizer.param_groups[0]["momentum"] == 0.5
    assert setup.learner.optimizer.param_groups[0]["weight_decay"] == 0.25


def test_what_does_not_fit_is_refused(make_setup: Callable, make_net: Callable) -> None:
    _, state = run_until(make_setup(), epochs=1)
    learner = make_setup().learner
    with pytest.raises(CheckpointError, match="has no 'model'"):
        restore(learner, {})
    other = {**state, "model": {"conv9.weight": torch.zeros(1)}}
    with pytest.raises(CheckpointError, match=r"lacks conv1\.weight.* and has conv9\.weight"):
        restore(learner, other)
    other = {**state, "model": {**state["model"], "fc1.weight": torch.zeros(7, 36)}}
    with pytest.raises(CheckpointError, match=r"fc1\.weight is \(7, 36\) there and \(4, 36\) here"):
        restore(learner, other)
    with pytest.raises(CheckpointError, match="averaged weights"):
        restore(learner, {**state, "ema": None})
    with pytest.raises(CheckpointError, match="another precision than float16"):
        restore(make_setup(precision="float16").learner, state)
    net = make_net()
    with pytest.raises(CheckpointError, match="trained with SGD, not with Adam"):
        restore(
            Learner(net, adam(groups=parameter_groups(net)), ema=make_setup().learner.ema), state
        )


def test_rules_on_validation_need_one(make_setup: Callable) -> None:
    setup = make_setup()
    arguments = {**setup.arguments, "validation": None}
    with pytest.raises(ConfigError, match="plateau needs a validation split"):
        next(train(setup.learner, **arguments))


def test_early_stop_stays_stopped_when_resumed(make_setup: Callable) -> None:
    def stopping(**options):
        setup = make_setup(**options)
        rules = {"early_stop": EarlyStop(patience=1, min_delta=1.0), "plateau": Plateau(patience=9)}
        setup.recipe = setup.recipe.__class__(**{**setup.recipe.__dict__, **rules})
        return setup

    events, state = run_until(stopping(epochs=9))
    assert (events[-1].reason, events[-1].epoch) == ("early stop", 2)  # no gain of 1.0 is possible
    events, _ = run_until(resumed(stopping, state, epochs=9))
    assert [type(e).__name__ for e in events] == ["RunStarted", "RunDone"]
    assert events[-1].reason == "early stop"
