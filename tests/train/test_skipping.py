"""What is not finite is skipped, or undone; and a run that is resumed does the same."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch

from cnntrain.core.choices import OPTIMIZERS
from cnntrain.core.errors import DataError, DivergedError
from cnntrain.optim import parameter_groups
from cnntrain.tasks.losses.cross_entropy import CrossEntropy
from cnntrain.train import EpochDone, Learner, Setback, StepDone, restore, snapshot, train
from cnntrain.train.finite import all_finite

STEP = 7
"""Of 5 an epoch: the second of the second epoch."""


class Spoiling(CrossEntropy):
    """A loss that is not finite, or whose gradient is not, where an image is marked."""

    kind = ""

    def __call__(self, logits, targets, /):
        loss = super().__call__(logits, targets)
        if self.kind == "loss":
            return loss + float("inf")
        if self.kind == "gradient":
            return loss + (logits - logits.detach()).sum().abs().sqrt()  # value 0, slope infinite
        return loss


def image(setup) -> None:
    setup.loader.changes[2, 1] = lambda images: images.index_fill(
        0, torch.tensor([3]), float("nan")
    )


def loss(setup, kind: str = "loss", *, always: bool = True) -> None:
    """A loss that spoils step 7; unless `always`, only before the first rollback."""
    criterion = setup.criterion = Spoiling(label_smoothing=0.1)

    def change(images, *, here: bool):
        criterion.kind = kind if here and (always or not setup.learner.state.rollbacks) else ""
        return images

    for epoch in range(1, 5):
        for number in range(5):
            here = (epoch, number) == (2, 1)
            setup.loader.changes[epoch, number] = partial(change, here=here)


def statistics(setup) -> None:
    """An image so bright that its variance overflows, and that normalises to something finite."""
    setup.loader.changes[2, 1] = lambda images: images * 1e25


SPOILS = {"image": image, "loss": loss, "gradient": partial(loss, kind="gradient"),
          "statistics": statistics}  # fmt: skip


def run(setup, policy: str, *, stop: int | None = None):
    """The events until step `stop`, and a copy of the state there or at the end."""
    recipe = replace(setup.recipe, on_divergence=policy)
    events = []
    for event in train(setup.learner, **{**setup.arguments, "recipe": recipe}):
        events.append(event)
        if isinstance(event, StepDone) and event.step == stop and stop is not None:
            break
    return events, copy.deepcopy(snapshot(setup.learner))


def resumed(make_setup, spoil, state, **options):
    setup = make_setup(**options)
    spoil(setup)
    torch.manual_seed(99)
    restore(setup.learner, copy.deepcopy(state))
    return setup


def leaves(value, path=()):
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif not path[-1].endswith("seconds"):
        yield path, value


def differences(first, second):
    ours, theirs = dict(leaves(first)), dict(leaves(second))
    return [p for p in ours.keys() | theirs.keys() if not _same(ours.get(p), theirs.get(p))]


def _same(first, second) -> bool:
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return torch.equal(first, second)
    return type(first) is type(second) and bool(first == second)


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("name", SPOILS)
def test_a_skipped_step_changes_nothing(make_setup: Callable, name: str, precision: str) -> None:
    if (name, precision) in (("gradient", "float16"), ("statistics", "float16")):
        pytest.skip("the scaler skips such a step itself; 1e25 is infinite in float16")
    setup = make_setup(precision=precision)
    SPOILS[name](setup)
    before = run(setup, "skip", stop=STEP - 1)[1]
    again = resumed(make_setup, SPOILS[name], before, precision=precision)
    after = run(again, "skip", stop=STEP)[1]
    changed = {path[:2] for path in differences(before, after)}
    expected = {("train", each) for each in ("step", "batch", "images", "skips", "lr")}
    expected |= {("random", "torch")}
    assert ("train", "skips") in changed
    assert changed <= expected
    assert after["train"]["skips"]["in_epoch"] == 1


@pytest.mark.parametrize("name", SPOILS)
def test_the_epoch_goes_on_and_says_what_was_skipped(make_setup: Callable, name: str) -> None:
    setup = make_setup()
    SPOILS[name](setup)
    events, last = run(setup, "skip")
    [setback] = [event for event in events if isinstance(event, Setback)]
    assert (setback.epoch, setback.policy, setback.count) == (2, "skip", 1)
    assert setback.text.startswith("epoch 2: 1 of 5 steps skipped because")
    assert last["train"]["epoch"] == 4
    epochs = [event for event in events if isinstance(event, EpochDone)]
    assert all_finite(torch.tensor(epoch.train_loss) for epoch in epochs)


@pytest.mark.parametrize("policy", ["skip", "rollback"])
@pytest.mark.parametrize("stop", [6, 8])
@pytest.mark.parametrize("parts", [1, 2])
def test_a_resumed_run_does_the_same(make_setup: Callable, policy, stop, parts) -> None:
    make, spoil = partial(make_setup, accumulate=parts), partial(loss, always=False)
    setup = make()
    spoil(setup)
    whole = run(setup, policy)[1]
    setup = make()
    spoil(setup)
    part = run(setup, policy, stop=stop)[1]
    assert differences(run(resumed(make, spoil, part), policy)[1], whole) == []
    assert whole["train"]["rollbacks"] == (policy == "rollback")


def test_a_rollback_goes_to_the_epochs_start_with_half_the_rate(make_setup: Callable) -> None:
    setup = make_setup()
    loss(setup, always=False)
    events, last = run(setup, "rollback")
    [setback] = [event for event in events if isinstance(event, Setback)]
    assert (setback.epoch, setback.step, setback.count, setback.rate_factor) == (1, 5, 1, 0.5)
    assert "the loss is not finite" in setback.text
    assert "back to the end of epoch 1 (step 5)" in setback.text
    steps = [(event.step, event.lr) for event in events if isinstance(event, StepDone)]
    assert [step for step, _ in steps] == [*range(1, 7), *range(6, 21)]
    assert steps[6][1] == steps[5][1] / 2
    assert last["train"]["rollbacks"] == 1


def test_three_rollbacks_and_then_it_ends(make_setup: Callable) -> None:
    setup = make_setup()
    loss(setup)
    seen = []
    recipe = replace(setup.recipe, on_divergence="rollback")
    with pytest.raises(DivergedError, match="that is after 3 rollbacks, each with half"):
        seen.extend(train(setup.learner, **{**setup.arguments, "recipe": recipe}))
    counts = [event.rate_factor for event in seen if isinstance(event, Setback)]
    assert counts == [0.5, 0.25, 0.125]


def test_what_an_optimizer_did_not_have_before_its_first_step_goes(make_setup: Callable) -> None:
    setup = make_setup()
    net = setup.learner.model
    optimizer = OPTIMIZERS.load("adamw")(groups=parameter_groups(net))
    learner = Learner(net, optimizer)
    recipe = replace(setup.recipe, on_divergence="rollback", epochs=1)
    setup.loader.changes[1, 1] = lambda images: images * (1 if learner.state.rollbacks else 1e25)
    list(train(learner, **{**setup.arguments, "recipe": recipe}))
    assert learner.state.rollbacks == 1
    assert {int(values["step"]) for values in optimizer.state.values()} == {5}


def test_images_that_are_not_finite_are_not_tried_again(make_setup: Callable) -> None:
    setup = make_setup()
    image(setup)
    with pytest.raises(DataError, match=r"the input images \[3\] of the batch"):
        run(setup, "rollback")


def test_weights_that_an_update_made_infinite_are_named(make_setup: Callable) -> None:
    setup = make_setup()
    recipe = replace(setup.recipe, lr=1e38, clip_norm=None, schedule=lambda _: 1e2, plateau=None)
    setup.loader.batch_size = 37  # one step an epoch: no other looks at it
    with pytest.raises(DivergedError, match=r"the parameter 'conv1.weight' is not finite after"):
        list(train(setup.learner, **{**setup.arguments, "recipe": recipe}))


@pytest.mark.parametrize("epoch", [1, 3])
def test_too_many_skipped_steps_in_a_row_end_it(make_setup: Callable, epoch: int) -> None:
    setup = make_setup()
    for number in range(20):
        place = (epoch + number // 5, number % 5)
        setup.loader.changes[place] = lambda images: images * float("nan")
    with pytest.raises(DataError, match=rf"step {epoch * 5 + 5} .* 5 of the epoch's 5 steps so"):
        run(setup, "skip")


def test_a_late_look_gives_the_same_weights(make_setup: Callable, monkeypatch) -> None:
    """As on an accelerator, where the host does not wait for each step."""
    states = []
    for late in (False, True):
        setup = make_setup()
        image(setup)
        if late:
            monkeypatch.setattr(setup.learner, "device", torch.device("meta"))
        states.append(run(setup, "skip")[1])
    assert differences(*states) == []


def test_an_evaluation_that_is_not_finite_is_never_the_best(make_setup: Callable) -> None:
    setup = make_setup()
    with torch.no_grad():
        setup.learner.ema.model.fc1.weight.fill_(3e38)
    setup.recipe = replace(setup.recipe, epochs=1)
    setup.learner.ema.update = lambda *, step: None
    events = []
    with pytest.raises(DivergedError, match=r"'fc1' .* on some of the validation images"):
        events.extend(train(setup.learner, **setup.arguments))
    assert setup.learner.state.best_epoch is None
    assert not any(isinstance(event, EpochDone) for event in events)


@pytest.mark.parametrize("policy", ["stop", "skip", "rollback"])
def test_gradients_that_stay_nan_in_float16_are_a_divergence(
    make_setup: Callable, policy: str
) -> None:
    """65,536 halved 17 times is below 1; a rollback goes back to 2, the scale after step 15."""
    setup = make_setup(precision="float16")
    setup.criterion = Spoiling(label_smoothing=0.1)
    setup.criterion.kind = "gradient"
    recipe = replace(setup.recipe, on_divergence=policy)
    events: list[object] = []
    place, cause = (
        "step 17 ",
        "the gradient that the loss passes back is not finite; the loss scale",
    )
    with pytest.raises(DivergedError, match=f"{place}.*{cause} has fallen to 0.5 in") as raised:
        events.extend(train(setup.learner, **{**setup.arguments, "recipe": recipe}))
    assert ("after 3 rollbacks" in str(raised.value)) == (policy == "rollback")
    steps = [event.step for event in events if isinstance(event, StepDone)]
    assert steps == [*range(1, 17), *([16] * 3 if policy == "rollback" else [])]


def test_a_scale_that_recovers_is_none(make_setup: Callable) -> None:
    setup = make_setup(precision="float16")
    criterion = setup.criterion = Spoiling(label_smoothing=0.1)
    recipe = replace(setup.recipe, epochs=4)
    for event in train(setup.learner, **{**setup.arguments, "recipe": recipe}):
        if isinstance(event, StepDone):
            criterion.kind = "gradient" if event.step < 16 else ""
    assert setup.learner.scaler.get_scale() == 2.0
    assert setup.learner.state.epoch == 4
