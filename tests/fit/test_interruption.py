"""Signals as stop requests; that a whole process obeys them is tested with the command line."""

from __future__ import annotations

import signal

import pytest

from cnntrain.core.interrupts import Interrupted
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
