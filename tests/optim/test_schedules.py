"""Expected values: closed forms, and torch.optim.lr_scheduler stepped once per optimizer step."""

import math
import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from cnntrain.optim import (
    Constant,
    Cosine,
    Exponential,
    MultiStep,
    Plateau,
    PlateauState,
    Polynomial,
    StepDecay,
    Warmup,
)


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
    "constant": (Constant(), lambda o: lr_scheduler.ConstantLR(o, factor=1.0)),
    "step": (StepDecay(7, gamma=0.3), lambda o: lr_scheduler.StepLR(o, 7, gamma=0.3)),
    "multi_step": (MultiStep((20, 5)), lambda o: lr_scheduler.MultiStepLR(o, [5, 20])),
    "exponential": (Exponential(0.9), lambda o: lr_scheduler.ExponentialLR(o, 0.9)),
    "cosine": (Cosine(30, floor=0.1), lambda o: lr_scheduler.CosineAnnealingLR(o, 30, 0.1)),
    "polynomial": (Polynomial(30, 2.0), lambda o: lr_scheduler.PolynomialLR(o, 30, 2.0)),
}


@pytest.mark.parametrize("name", ORACLES)
def test_agrees_with_torch(name: str) -> None:
    ours, theirs = ORACLES[name]
    assert [ours(step) for step in range(30)] == pytest.approx(torch_factors(theirs, 30), abs=1e-9)


def test_cosine_and_polynomial_end_at_the_floor_and_stay_there() -> None:
    for schedule in (Cosine(10, floor=0.01), Polynomial(10, floor=0.01)):
        assert schedule(0) == 1.0
        assert schedule(10) == schedule(1000) == pytest.approx(0.01)
    assert Cosine(10)(5) == pytest.approx(0.5)  # cos(pi / 2) = 0
    assert Polynomial(10, power=2.0)(5) == pytest.approx(0.25)


def test_exponential_over_an_epoch() -> None:
    assert Exponential(0.5, every=10)(5) == pytest.approx(math.sqrt(0.5))


def test_warmup_rises_in_a_line_to_the_main_schedules_first_value() -> None:
    schedule = Warmup(4, StepDecay(3))
    assert [schedule(step) for step in range(8)] == pytest.approx(
        [0.2, 0.4, 0.6, 0.8, 1.0, 1.0, 1.0, 0.1]
    )
    assert Warmup(0, Cosine(5))(2) == Cosine(5)(2)


def test_a_schedule_has_no_state() -> None:
    schedule = Warmup(3, Cosine(20))
    forward = [schedule(step) for step in range(25)]
    assert [schedule(step) for step in reversed(range(25))] == forward[::-1]
    assert schedule == Warmup(3, Cosine(20))


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


@pytest.mark.parametrize("main", [Cosine(total=0), Polynomial(total=0)])
def test_a_warmup_of_the_whole_run_still_trains(main: Cosine | Polynomial) -> None:
    rise = Warmup(steps=4, then=main)
    assert [rise(step) for step in range(4)] == pytest.approx([0.2, 0.4, 0.6, 0.8])
