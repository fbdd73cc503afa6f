"""What the training loop reports: six frozen values, no hooks; and how to ask it to stop.

While the loop is suspended at an event its state is complete and at rest: a checkpoint may be
written. An observer reads; it never changes training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from torch import Tensor

from cnntrain.core.interrupts import WaitEnded
from cnntrain.data.batch import Batch
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Result, Task
from cnntrain.train.so_far import NOTHING_YET, KeptEpoch, KeptResult, SoFar, waited
from cnntrain.train.together import ALONE, Processes

Reason: TypeAlias = Literal["finished", "early stop", "stopped"]


@dataclass(frozen=True)
class RunStarted:
    """Training begins, or resumes.

    Args:
        epochs: how many there are to be in all.
        steps_per_epoch: optimizer steps in one.
        epoch: epochs already done; 0 for a new run.
        step: optimizer steps already done; 0 for a new run.
        task: says which figures there will be, and how to write them.
        select: the one of them that selects the best weights.
        keeps_last: whether the last weights are kept instead.
        so_far: what came of the epochs that are done.
    """

    epochs: int
    steps_per_epoch: int
    epoch: int
    step: int
    task: Task = CLASSIFICATION
    select: str = "error"
    keeps_last: bool = False
    so_far: SoFar = NOTHING_YET


@dataclass(frozen=True)
class StepDone:
    """One batch was learnt from. Reading a tensor of it waits for the device: do it seldom.

    Args:
        epoch: the current epoch, from 1.
        step: optimizer steps done in all.
        batch: batches done in this epoch.
        images: size of the batch.
        lr: learning rate of the step, before the groups' factors.
        loss: 0-d, on the device: mean criterion of the batch, without auxiliary heads and L1.
        grad_norm: 0-d, on the device: Euclidean norm of the gradient before clipping; None at the
            steps at which it was not computed.
        data_seconds: of `seconds`, spent waiting for the batch.
        seconds: wall time since the step before (or the beginning of the epoch).
        skipped: 0-d, on the device: 1 if the step was left out because it was not finite, else 0;
            None where no step is.
    """

    epoch: int
    step: int
    batch: int
    images: int
    lr: float
    loss: Tensor
    grad_norm: Tensor | None
    data_seconds: float
    seconds: float
    skipped: Tensor | None = None


@dataclass(frozen=True)
class EvalDone:
    """A whole split was classified, with the averaged weights where there is an EMA.

    Args:
        epoch: the epoch that was just trained, from 1.
        step: optimizer steps done in all.
        split: `validation` in the training loop.
        metrics: the result.
        seconds: wall time.
    """

    epoch: int
    step: int
    split: str
    metrics: Result
    seconds: float


@dataclass(frozen=True)
class EpochDone:
    """One epoch was trained and, where it was due, evaluated.

    Args:
        epoch: from 1.
        step: optimizer steps done in all.
        train_loss: mean criterion over the epoch's batches, as they were when they were learnt.
        train_figures: the task's figures over the same, in training mode, augmentation and all.
        lr: learning rate of the last step.
        validation: the evaluation after this epoch, if there was one.
        is_best: its weights are the best so far (of equal ones, those of the lowest loss).
        images: images learnt from.
        seconds: wall time of the epoch without its evaluation.
        data_seconds: of `seconds`, spent waiting for batches.
    """

    epoch: int
    step: int
    train_loss: float
    train_figures: Mapping[str, float]
    lr: float
    validation: Result | None
    is_best: bool
    images: int
    seconds: float
    data_seconds: float

    @property
    def images_per_second(self) -> float | None:
        """The speed of training; None where no time went by."""
        return self.images / self.seconds if self.seconds > 0 else None

    @property
    def data_wait(self) -> float:
        """Share of the time spent waiting for data, 0 to 1."""
        return waited(self.data_seconds, self.seconds)

    def added_to(self, before: SoFar, *, task: Task) -> SoFar:
        """The run's sums with this epoch."""
        ask = getattr(task, "guessed", None)  # a task from a plugin may have no such method
        found = self.validation
        last = KeptEpoch(
            epoch=self.epoch,
            step=self.step,
            train_loss=self.train_loss,
            train_figures=self.train_figures,
            validation=None if found is None else KeptResult.of(found),
            guessed=None if ask is None or found is None else ask(found),
        )
        return SoFar(
            images=before.images + self.images,
            seconds=before.seconds + self.seconds,
            data_seconds=before.data_seconds + self.data_seconds,
            best=last if self.is_best else before.best,
            last=last,
        )


@dataclass(frozen=True)
class Setback:
    """Something was not finite, and training continues; see `Recipe.on_divergence`.

    After a rollback the steps after `step` come again, with the same batches.

    Args:
        epoch: the epoch with skipped steps, from 1; of a rollback the epochs that are done.
        step: optimizer steps done in all.
        policy: what was done.
        count: steps of the epoch that were skipped, or rollbacks so far.
        rate_factor: of the learning rate from now on.
        text: the same in words, with the cause of a rollback.
    """

    epoch: int
    step: int
    policy: Literal["skip", "rollback"]
    count: int
    rate_factor: float
    text: str


@dataclass(frozen=True)
class RunDone:
    """Training ended, or was asked to stop: nothing comes after.

    Args:
        reason: all epochs done, no more improvement, or a stop request.
        epoch: epochs done.
        step: optimizer steps done in all.
        best_epoch: the epoch of the best weights.
        best_value: the figure that selected it.
        seconds: wall time of the training, that of all parts of a resumed run.
        notes: what a reader of the results must know.
    """

    reason: Reason
    epoch: int
    step: int
    best_epoch: int | None
    best_value: float | None
    seconds: float
    notes: tuple[str, ...] = ()


Event: TypeAlias = RunStarted | StepDone | EvalDone | EpochDone | Setback | RunDone


class StopRequest:
    """A flag that a signal handler may raise; looked at after every batch of every phase.

    Of several processes that train together any may be asked; all stop after the same step.

    Args:
        processes: that train together.
    """

    def __init__(self, processes: Processes = ALONE) -> None:
        self.asked = False
        self.is_waiting = False
        """Whether a batch is waited for: then a handler may raise `WaitEnded`."""
        self.processes = processes
        self._agreed = False

    @property
    def requested(self) -> bool:
        """Whether to stop; of several processes, what they have agreed on."""
        return self.asked if self.processes.is_alone else self._agreed

    def request(self) -> None:
        """Ask for a stop after the batch in work; safe in a signal handler."""
        self.asked = True

    def agree(self) -> bool:
        """Whether any process was asked by now; all of them call this at the same point."""
        self._agreed = bool(self.processes.largest(self.asked))
        return self._agreed

    def steps(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """As `batches`, for steps that all processes take together: they stop after the same."""
        if self.processes.is_alone:
            yield from self.batches(batches)
            return
        while not self.agree() and (batch := next(batches, None)) is not None:
            yield batch

    def batches(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches, until a stop is requested here; that ends the wait for one as well."""
        while (batch := self._next(batches)) is not None:
            yield batch

    def _next(self, batches: Iterator[Batch]) -> Batch | None:
        try:
            try:
                self.is_waiting = True
                return None if self.asked else next(batches, None)
            finally:
                self.is_waiting = False
        except WaitEnded:
            return None
