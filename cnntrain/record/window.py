"""The steps since the last report: sums that a checkpoint keeps, so that no report differs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cnntrain.checkpoint import State
from cnntrain.core.errors import CheckpointError
from cnntrain.train.events import StepDone


@dataclass(frozen=True)
class StepReport:
    """The steps since the last report (or since the run was started).

    Args:
        epoch: the epoch that runs, from 1.
        step: optimizer steps done in all.
        batch: batches done in this epoch.
        loss: mean over the images of these steps, without those that were skipped; NaN if all were.
        skipped: how many of the steps were skipped because they were not finite.
        lr: learning rate of the last of them.
        grad_norm: gradient norm of the last of them that has one, else None.
        images_per_second: training speed on the wall clock, without evaluation.
        data_wait: share of that time spent waiting for data, 0 to 1.
        seconds: that time.
    """

    epoch: int
    step: int
    batch: int
    loss: float
    skipped: int
    lr: float
    grad_norm: float | None
    images_per_second: float
    data_wait: float
    seconds: float


class StepWindow:
    """Sums over the steps between two reports; the loss stays on the device."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self._loss: Tensor | None = None
        self.restart()

    def restart(self) -> None:
        """Begin again: a report was made."""
        self._images = 0
        self._skipped: int | Tensor = 0
        self._skipped_images: int | Tensor = 0
        self._norm: Tensor | None = None
        self._waited = self._before = 0.0
        if self._loss is not None:
            self._loss.zero_()
        self.begin()

    def begin(self) -> None:
        """The clock runs from here; what was counted before stays."""
        self._since = self.clock()
        self.apart = 0.0  # seconds since then that were not training

    def add(self, step: StepDone) -> None:
        """Count a step in, without waiting for the device."""
        if self._loss is None:
            self._loss = torch.zeros((), dtype=torch.float32)
        self._loss = self._loss.to(step.loss.device)  # moves the first time only
        loss = step.loss.detach()
        if step.skipped is not None:
            loss = torch.where(step.skipped > 0, 0.0, loss)  # it may be NaN
            self._skipped = self._skipped + step.skipped
            self._skipped_images = self._skipped_images + step.skipped * step.images
        self._loss.add_(loss, alpha=step.images)
        self._images += step.images
        self._waited += step.data_seconds
        if step.grad_norm is not None:
            self._norm = step.grad_norm

    @property
    def seconds(self) -> float:
        """Of training, on the wall clock."""
        return max(self._before + self.clock() - self._since - self.apart, 1e-9)

    def report(self, step: StepDone) -> StepReport:
        """The means over the window, of which `step` is the last; waits for the device."""
        assert self._loss is not None
        taken = self._images - int(self._skipped_images)  # the device finishes its work here
        norm = None if self._norm is None else float(self._norm)
        seconds = self.seconds
        return StepReport(
            epoch=step.epoch,
            step=step.step,
            batch=step.batch,
            loss=float(self._loss) / taken if taken else math.nan,
            skipped=int(self._skipped),
            lr=step.lr,
            grad_norm=norm,
            images_per_second=self._images / seconds,
            data_wait=min(self._waited / seconds, 1.0),
            seconds=seconds,
        )

    def state_dict(self) -> State:
        """Plain values and tensors."""
        return {
            "loss": None if self._loss is None else self._loss.clone(),
            "images": self._images,
            "skipped": int(self._skipped),
            "skipped_images": int(self._skipped_images),
            "grad_norm": self._norm,
            "data_seconds": self._waited,
            "seconds": self.seconds,
        }

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; raises CheckpointError where something is missing."""
        try:
            self._loss, self._norm = values["loss"], values["grad_norm"]
            self._images, self._waited = values["images"], values["data_seconds"]
            self._before = float(values["seconds"])
            # Older checkpoints have neither.
            self._skipped = int(values.get("skipped", 0))
            self._skipped_images = int(values.get("skipped_images", 0))
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"the checkpoint's window does not fit: {error}") from error
