"""one_cycle and cosine_restarts against torch's, inverse_sqrt against the paper's equation."""

import math
import warnings

import pytest
import torch
from torch.optim import lr_scheduler

from cnntrain.optim import Warmup
from cnntrain.optim.schedules.cosine_restarts import cosine_restarts
from cnntrain.optim.schedules.inverse_sqrt import inverse_sqrt
from cnntrain.optim.schedules.one_cycle import one_cycle


def torchs(make, steps: int) -> list[float]:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = make(optimizer), []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            scheduler.step()
    return found


@pytest.mark.parametrize(("rise", "steps"), [(0.3, 50), (0.5, 7), (0.25, 401)])
def test_one_cycle_is_torchs(rise: float, steps: int) -> None:
    def make(optimizer):
        return lr_scheduler.OneCycleLR(
            optimizer, 1.0, total_steps=steps, pct_start=rise, cycle_momentum=False
        )

    mine = one_cycle(rise=rise, total_steps=steps)
    # torch refuses the step after the last
    assert [mine(done) for done in range(steps - 1)] == pytest.approx(
        torchs(make, steps - 1), abs=1e-12
    )
    assert mine(steps - 1) == pytest.approx(1 / 25 / 1e4)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_one_cycle_of_a_few_steps_trains(steps: int) -> None:
    assert max(one_cycle(total_steps=steps)(done) for done in range(steps)) == 1.0


@pytest.mark.parametrize(("first", "times"), [(3, 1), (2, 2), (1, 3)])
def test_cosine_restarts_is_torchs(first: int, times: int) -> None:
    mine = cosine_restarts(first_epochs=first, times=times, floor=0.1, steps_per_epoch=5)
    theirs = torchs(
        lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, first * 5, times, 0.1), 90
    )
    assert [mine(done) for done in range(90)] == pytest.approx(theirs, abs=1e-12)


def test_cosine_restarts_after_parts_of_an_epoch() -> None:
    mine = cosine_restarts(first_epochs=0.5, steps_per_epoch=8)
    assert [mine(done) for done in (0, 4, 8, 400)] == [1.0] * 4
    assert mine(2) == mine(6) == pytest.approx(0.5)


def test_inverse_sqrt_is_the_papers() -> None:
    """Vaswani et al. 2017, equation 3, over its top at the end of the warm-up."""
    warmup = 20
    mine = Warmup(warmup, inverse_sqrt(steps_per_epoch=7, warmup_steps=warmup))

    def paper(step: int) -> float:
        return min(step**-0.5, step * warmup**-1.5) * math.sqrt(warmup)

    assert [mine(done) for done in range(20, 200)] == pytest.approx(
        [paper(done) for done in range(20, 200)]
    )


def test_inverse_sqrt_without_a_warm_up() -> None:
    assert inverse_sqrt(steps_per_epoch=10)(30) == pytest.approx(0.5)
    assert inverse_sqrt(scale_epochs=2.0, steps_per_epoch=10)(60) == pytest.approx(0.5)
