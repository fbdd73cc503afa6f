"""Signals as stop requests; that a whole process obeys them is tested with the command line."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
import torch

from cnntrain.core.interrupts import Interrupted
from cnntrain.data.batch import Batch
from cnntrain.fit.interruption import stop_on_signals
from cnntrain.train import StopRequest


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_asks_and_the_second_stops(number: signal.Signals, code: int) -> None:
    before = signal.getsignal(number)
    stop = StopRequest()
    with stop_on_signals(stop) as interruption:
        assert interruption.exit_code == 0
        signal.raise_signal(number)
        assert stop.requested
        assert interruption.exit_code == code
        with pytest.raises(Interrupted) as caught:
            signal.raise_signal(number)
    assert caught.value.exit_code == code
    assert signal.getsignal(number) is before


def test_the_wait_for_a_batch_ends_at_once() -> None:
    def never() -> Iterator[Batch]:
        yield Batch(torch.zeros(1), torch.zeros(1))
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it went on")

    stop = StopRequest()
    with stop_on_signals(stop):
        assert len(list(stop.batches(never()))) == 1
        assert not stop.is_waiting
        assert list(stop.batches(iter([Batch(torch.zeros(1), torch.zeros(1))]))) == []
