"""How long a run will still take, from what its steps, evaluations and epoch ends took so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from cnntrain.record.observe import Observer, Record
from cnntrain.train.events import EpochDone, EvalDone, RunStarted, StepDone

ENOUGH_STEPS = 3
ENOUGH_SECONDS = 5.0
FADING = 0.5  # what an epoch counts for, compared with the one after it
FORWARD_SHARE = 1 / 3  # the backward pass computes about twice as much as the forward pass


def _never(_: int) -> bool:
    return False


@dataclass(frozen=True)
class Ahead:
    """What a run has to do besides its training steps.

    Args:
        device: where it trains, in a word.
        evaluates: whether an epoch (from 1) is followed by an evaluation.
        validation_images: of each evaluation.
        images_afterwards: classified after the last epoch.
        may_end_early: whether the number of epochs is only the largest possible one.
    """

    device: str = "cpu"
    evaluates: Callable[[int], bool] = _never
    validation_images: int = 0
    images_afterwards: int = 0
    may_end_early: bool = False


@dataclass
class _Mean:
    """The mean of measured seconds, the later ones counting more."""

    seconds: float = 0.0
    count: float = 0.0

    def add(self, seconds: float) -> None:
        self.seconds, self.count = FADING * self.seconds + seconds, FADING * self.count + 1

    def get(self, otherwise: float = 0.0) -> float:
        return self.seconds / self.count if self.count else otherwise


class TimeLeft(Observer):
    """Measures a run from its events, without reading from the device.

    The first step of the process is left out: it starts workers and compiles. Before the first
    evaluation its time is derived from that of the steps.

    Args:
        ahead: what there is besides steps.
        clock: in seconds.
    """

    def __init__(self, ahead: Ahead, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._ahead = ahead
        self._clock = clock
        self._started: RunStarted | None = None
        self._begun = self._mark = clock()
        self._epoch = self._step = 0
        self.measured = -1
        """Steps of this process, without the first one."""
        self._steps = self._images = self._seconds = self._waited = 0.0  # of the latest epochs
        self._evaluation, self._end = _Mean(), _Mean()
        self._apart = 0.0  # seconds of evaluation since the last step

    def observe(self, event: Record) -> None:
        """Note when an event came."""
        now = self._clock()
        self._epoch, self._step = event.epoch, event.step
        if isinstance(event, RunStarted):
            self._started, self._begun = event, now
        elif isinstance(event, StepDone):
            self._epoch = event.epoch - 1
            self.measured += 1
            if self.measured > 0:
                self._steps += 1
                self._images += event.images
                self._seconds += now - self._mark
                self._waited += event.data_seconds
        elif isinstance(event, EvalDone):
            self._evaluation.add(event.seconds)
            self._apart += event.seconds
            return
        elif isinstance(event, EpochDone):
            self._end.add(max(now - self._mark - self._apart, 0.0))
            self._steps, self._images = FADING * self._steps, FADING * self._images
            self._seconds, self._waited = FADING * self._seconds, FADING * self._waited
        self._mark, self._apart = now, 0.0

    @property
    def spent(self) -> float:
        """Seconds since this process began to train."""
        return self._clock() - self._begun

    @property
    def is_measured(self) -> bool:
        """Whether there is enough for an estimate."""
        return self.measured >= ENOUGH_STEPS and self.spent >= ENOUGH_SECONDS

    def of_epoch(self) -> float:
        """Seconds until the current epoch is done, with its evaluation."""
        assert self._started is not None, "RunStarted comes first"
        epoch = self._epoch + 1
        steps = epoch * self._started.steps_per_epoch - self._step
        evaluation = self._evaluation.get(self._derived()) if self._ahead.evaluates(epoch) else 0.0
        return max(steps, 0) * self._pace + evaluation + self._end.get()

    def of_run(self) -> float:
        """Seconds until the run is done, if it does not stop early."""
        assert self._started is not None, "RunStarted comes first"
        epochs = self._started.epochs
        ahead = range(self._epoch + 1, epochs + 1)
        evaluations = sum(map(self._ahead.evaluates, ahead))
        evaluation = self._evaluation.get(self._derived())
        per_image = evaluation / max(self._ahead.validation_images, 1) or self._derived_per_image
        return (
            max(epochs * self._started.steps_per_epoch - self._step, 0) * self._pace
            + evaluations * evaluation
            + len(ahead) * self._end.get()
            + self._ahead.images_afterwards * per_image
        )

    @property
    def _pace(self) -> float:
        """Seconds per step."""
        return self._seconds / self._steps if self._steps else 0.0

    @property
    def _derived_per_image(self) -> float:
        """Seconds of an evaluation per image, as long as none was measured."""
        computed = max(self._seconds - self._waited, 0.0)
        return (self._waited + FORWARD_SHARE * computed) / self._images if self._images else 0.0

    def _derived(self) -> float:
        return self._ahead.validation_images * self._derived_per_image
