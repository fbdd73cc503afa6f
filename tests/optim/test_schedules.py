"""Expected values: closed forms, and torch.optim.lr_scheduler stepped once per optimizer step."""

import math
import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from cnntrain.optim import Schedule, Warmup
from cnntrain.optim.schedules.constant import constant
from cnntrain.optim.schedules.cosine import cosine
from cnntrain.optim.schedules.exponential import exponential
from cnntrain.optim.schedules.multi_step import multi_step
from cnntrain.optim.schedules.plateau import Plateau, PlateauState
from cnntrain.optim.schedules.polynomial import polynomial
from cnntrain.optim.schedules.step import step


def torch_factors(make, steps):
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = make(optimizer)
    factors = []
    for _ in range(steps):
        factors.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            scheduler.step()
    return factors


ORACLES = {
    "constant": (constant(), lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    "step": (
        step(every=7, factor=0.3, steps_per_epoch=1),
        lambda o: lr_scheduler.StepLR(o, 7, gamma=0.3),
    ),
    "multi_step": (
        multi_step(milestones=(5, 20), steps_per_epoch=1),
        lambda o: lr_scheduler.MultiStepLR(o, [5, 20]),
    ),
    "exponential": (
        exponential(factor=0.9, steps_per_epoch=1),
        lambda o: lr_scheduler.ExponentialLR(o, 0.9),
    ),
    "cosine": (
        cosine(total_steps=30, floor=0.1),
        lambda o: lr_scheduler.CosineAnnealingLR(o, 30, 0.1),
    ),
    "polynomial": (
        polynomial(total_steps=30, power=2.0),
        lambda o: lr_scheduler.PolynomialLR(o, 30, 2.0),
    ),
}


@pytest.mark.parametrize("name", ORACLES)
def test_agrees_with_torch(name: str) -> None:
    ours, theirs = ORACLES[name]
    assert [ours(done) for done in range(30)] == pytest.approx(torch_factors(theirs, 30), abs=1e-9)


def test_cosine_and_polynomial_end_at_the_floor_and_stay_there() -> None:
    for schedule in (cosine(total_steps=10, floor=0.01), polynomial(total_steps=10, floor=0.01)):
        assert schedule(0) == 1.0
        assert schedule(10) == schedule(1000) == pytest.approx(0.01)
    assert cosine(total_steps=10)(5) == pytest.approx(0.5)  # cos(pi / 2) = 0
    assert polynomial(total_steps=10, power=2.0)(5) == pytest.approx(0.25)


def test_exponential_over_an_epoch() -> None:
    assert exponential(factor=0.5, steps_per_epoch=10)(5) == pytest.approx(math.sqrt(0.5))


def test_warmup_rises_in_a_line_to_the_main_schedules_first_value() -> None:
    schedule = Warmup(4, step(every=3, steps_per_epoch=1))
    assert [schedule(done) for done in range(8)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 0.1]
    )
    assert Warmup(0, cosine(total_steps=5))(2) == cosine(total_steps=5)(2)


def test_a_schedule_has_no_state() -> None:
    schedule = Warmup(3, cosine(total_steps=20))
    forward = [schedule(done) for done in range(25)]
    assert [schedule(done) for done in reversed(range(25))] == forward[::-1]


def test_plateau_divides_after_patience_evaluations_without_gain() -> None:
    rule, state, factors = Plateau(patience=2, min_delta=0.01), PlateauState(), []
    # best .5; .495 gains less than .01, .6 none: drop; .45 gains; nan and .45 do not: drop
    for error in (0.5, 0.495, 0.6, 0.45, math.nan, 0.45):
        state = rule.after(state, error)
        factors.append(rule.factor(state))
    assert factors == [1.0, 1.0, 0.1, 0.1, 0.1, pytest.approx(0.01)]
    assert state == PlateauState(best=0.45, stale=0, drops=2)


def test_plateau_agrees_with_torch() -> None:
    errors = [0.9, 0.5, 0.6, 0.5, 0.4, 0.41, 0.42, 0.43, 0.39, 0.5, 0.5, 0.5, 0.5]
    rule, state, ours = Plateau(patience=3), PlateauState(), []
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    # torch drops after patience + 1 evaluations, so one less there is ours
    oracle = lr_scheduler.ReduceLROnPlateau(optimizer, patience=2, threshold=0.0)
    theirs = []
    for error in errors:
        state = rule.after(state, error)
        ours.append(rule.factor(state))
        oracle.step(error)
        theirs.append(optimizer.param_groups[0]["lr"])
    assert ours == pytest.approx(theirs)


@pytest.mark.parametrize("main", [cosine(total_steps=0), polynomial(total_steps=0)])
def test_a_warmup_of_the_whole_run_still_trains(main: Schedule) -> None:
    rise = Warmup(steps=4, then=main)
    assert [rise(done) for done in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])


def test_changes_are_counted_from_the_start_of_the_run() -> None:
    """A warm-up of 6 steps with 4 in an epoch: changes come after 8 and 16 steps all the same."""
    for main in (
        step(every=2, factor=0.5, steps_per_epoch=4, warmup_steps=6),
        multi_step(milestones=(2, 4), factor=0.5, steps_per_epoch=4, warmup_steps=6),
    ):
        whole = Warmup(6, main)
        assert [whole(done) for done in (6, 7, 8, 15, 16, 20)] == [1, 1, 0.5, 0.5, 0.25, 0.25]
