"""Speed of a network: how steps are counted and what the median is, with a clock of the test's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, chain, cycle

import pytest
import torch

from cnntrain.arch.plan import Plan
from cnntrain.assemble.build_network import plan_architecture
from cnntrain.assemble.speed import LEAST, MOST, SECONDS, WARM_UP, measure_speed
from cnntrain.core.document import parse_document
from cnntrain.core.errors import MemoryExhaustedError, UsageError

CPU = torch.device("cpu")


def planned(layers: str) -> Plan:
    text = f"made_for: {{classes: 3, channels: 3, size: 8}}\n{layers}"
    return plan_architecture(parse_document(text, name="net.yaml"))


WITH_HEAD = """
layers: [conv: {out: 4}, batch_norm, relu, {dropout: {p: 0.5}}, global_avg_pool, linear: {out: 3}]
aux: [{from: relu1, weight: 0.3, layers: [global_avg_pool, {linear: {out: 3}}]}]
"""


def clock_of(durations: Sequence[float]) -> Callable[[], float]:
    """Read before and after each step, which then takes these seconds, again and again."""
    pauses: Iterator[float] = chain.from_iterable((0.0, taken) for taken in cycle(durations))
    return accumulate(pauses).__next__


def test_the_median_step_counts() -> None:
    """Of 5, 1 and 3 seconds it is 3: of training first, then of inference."""
    speed = measure_speed(planned(WITH_HEAD), batch=4, device=CPU, clock=clock_of([5, 1, 3]))
    assert speed.training == pytest.approx(4 / 3)
    speed = measure_speed(
        planned(WITH_HEAD), batch=4, device=CPU, clock=clock_of([5, 1, 3, 9, 8, 7])
    )
    assert speed.training == pytest.approx(4 / 3)
    assert speed.inference == pytest.approx(4 / 8)


@pytest.mark.parametrize(("seconds", "steps"), [(60.0, LEAST), (SECONDS / 8, 8), (1e-4, MOST)])
def test_slow_networks_take_few_steps_and_quick_ones_many(
    seconds: float, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step of training begins with the removal of the gradients."""
    begun: list[bool] = []
    zero_grad = torch.optim.SGD.zero_grad

    def counted(self: torch.optim.SGD, *, set_to_none: bool) -> None:
        begun.append(set_to_none)
        zero_grad(self, set_to_none=set_to_none)

    monkeypatch.setattr(torch.optim.SGD, "zero_grad", counted)
    measure_speed(planned(WITH_HEAD), batch=2, device=CPU, clock=clock_of([seconds]))
    assert len(begun) == WARM_UP + steps


def test_what_cannot_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="without parameters"):
        measure_speed(planned("layers: [global_avg_pool]"), batch=2, device=CPU)

    def used_up(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("cnntrain.assemble.speed._loss", used_up)
    with pytest.raises(MemoryExhaustedError, match="16 images at once do not fit") as caught:
        measure_speed(planned(WITH_HEAD), batch=16, device=CPU)
    assert caught.value.problems[0].remedy == "take --batch 8"
