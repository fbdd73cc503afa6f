"""Hand-made events of a run, with numbers that can be followed by eye."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch

from cnntrain.tasks.classification import Classification
from cnntrain.train.events import EpochDone, EvalDone, Event, RunDone, RunStarted, StepDone

Run = Callable[..., Iterator[Event]]


def _classification(correct: int, *, images: int = 100) -> Classification:
    wrong = images - correct
    return Classification(
        images=images,
        loss=wrong / images,
        top1=correct / images,
        top5=None,
        correct=correct,
        confusion=torch.tensor([[correct // 2, wrong], [0, correct - correct // 2]]),
    )


def _run(
    *,
    epochs: int = 3,
    steps: int = 4,
    epoch: int = 0,
    step: int = 0,
    until: int | None = None,
    data_seconds: float = 0.1,
    reason: str = "finished",
) -> Iterator[Event]:
    """A run whose step s has the loss s, the learning rate 0.1 and 10 images.

    Epoch e has 80 + e of 100 validation images right, so each is the best so far. `until` cuts
    the run off after that step, as a kill does.
    """
    yield RunStarted(epochs=epochs, steps_per_epoch=steps, epoch=epoch, step=step)
    for e in range(epoch + 1, epochs + 1):
        while step < e * steps:
            step += 1
            yield StepDone(
                epoch=e,
                step=step,
                batch=step - (e - 1) * steps,
                images=10,
                lr=0.1,
                loss=torch.tensor(float(step)),
                grad_norm=torch.tensor(2.0 * step),
                data_seconds=data_seconds,
                seconds=1.0,
            )
            if step == until:
                return
        found = _classification(80 + e)
        yield EvalDone(epoch=e, step=step, split="validation", metrics=found, seconds=0.5)
        yield EpochDone(
            epoch=e,
            step=step,
            train_loss=1.0 / e,
            train_figures={"error": 0.5 / e},
            lr=0.1,
            validation=found,
            is_best=True,
            images=10 * steps,
            seconds=1.0 * steps,
            data_seconds=data_seconds * steps,
        )
    yield RunDone(
        reason=reason,  # type: ignore[arg-type] # one of the three
        epoch=epochs,
        step=step,
        best_epoch=epochs,
        best_value=1 - (80 + epochs) / 100,
        seconds=3723.0,
    )


@pytest.fixture
def run() -> Run:
    return _run
