"""The steps since the last report: sums that a checkpoint keeps, so that no report differs."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import torch
from torch import Tensor

from cnntrain.checkpoint import State
from cnntrain.checkpoint.checked_values import (
    mapping_in,
    number_in,
    tensor_in,
    value_in,
    whole_in,
    wrong_part,
)
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


Count: TypeAlias = "int | Tensor"

_PART = "window"
"""What this is called in a checkpoint."""


@dataclass
class _Sums:
    """Over some steps; the loss is times images, and what is skipped is counted on the device."""

    loss: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float32))
    images: int = 0
    skipped: Count = 0
    skipped_images: Count = 0
    grad_norm: Tensor | None = None
    data_seconds: float = 0.0
    seconds: float = 0.0

    def add(self, step: StepDone) -> None:
        """Count a step in, without waiting for the device."""
        loss = step.loss.detach()
        if step.skipped is not None:
            loss = torch.where(step.skipped > 0, 0.0, loss)  # it may be NaN
            self.skipped = self.skipped + step.skipped
            self.skipped_images = self.skipped_images + step.skipped * step.images
        self.loss = self.loss.to(loss.device)  # moves at the first step only
        self.loss.add_(loss, alpha=step.images)
        self.images += step.images
        self.data_seconds += step.data_seconds
        if step.grad_norm is not None:
            self.grad_norm = step.grad_norm

    def copy(self, *, seconds: float) -> _Sums:
        """To keep, or to add to."""
        return replace(self, loss=self.loss.clone(), seconds=seconds)

    def state_dict(self) -> State:
        """Plain values and tensors."""
        counts = {name: int(getattr(self, name)) for name in ("skipped", "skipped_images")}
        return vars(self) | counts


def _sums_in(values: Mapping[str, Any], *, part: str) -> _Sums:
    """What `_Sums.state_dict` gave; older checkpoints lack what is skipped, or a loss."""
    empty = _Sums()
    skipped = {"skipped": 0, "skipped_images": 0} | dict(values)
    tensors = {
        name: tensor_in(values, name, like=empty.loss, part=part)
        for name in ("loss", "grad_norm")
        if value_in(values, name, part=part) is not None
    }
    return _Sums(
        **tensors,
        images=whole_in(values, "images", part=part),
        skipped=whole_in(skipped, "skipped", part=part),
        skipped_images=whole_in(skipped, "skipped_images", part=part),
        data_seconds=number_in(values, "data_seconds", part=part, low=0.0),
        seconds=number_in(values, "seconds", part=part, low=0.0),
    )


class StepWindow:
    """Sums over the steps between two reports; the loss stays on the device.

    They are kept where training may go back to: a rollback undoes the steps after it, and none
    before.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.clock = clock
        self._kept: dict[int, _Sums] = {}  # by the step at which they were the sums
        self.restart()

    def restart(self) -> None:
        """Begin again: a report was made."""
        self._sums = _Sums()
        self.begin()

    def begin(self) -> None:
        """The clock runs from here; what was counted before stays."""
        self._since = self.clock()
        self.apart = 0.0  # seconds since then that were not training

    def keep(self, step: int) -> None:
        """Training begins or resumes after `step`, and may go back to here."""
        self._kept[step] = self._sums.copy(seconds=self._sums.seconds)

    def end_epoch(self, step: int) -> None:
        """An epoch ends with `step`: training may go back to here, and no further."""
        self._kept = {step: self._sums.copy(seconds=self.seconds)}

    def go_back(self, step: int) -> None:
        """The steps after `step` are undone."""
        self.restart()
        if step in self._kept:  # older checkpoints have none
            kept = self._kept[step]
            self._sums = kept.copy(seconds=kept.seconds)

    def add(self, step: StepDone) -> None:
        """Count a step in, without waiting for the device."""
        self._sums.add(step)

    @property
    def seconds(self) -> float:
        """Of training, on the wall clock."""
        return max(self._sums.seconds + self.clock() - self._since - self.apart, 1e-9)

    def report(self, step: StepDone) -> StepReport:
        """The means over the window, of which `step` is the last; waits for the device."""
        sums = self._sums
        taken = sums.images - int(sums.skipped_images)  # the device finishes its work here
        norm = None if sums.grad_norm is None else float(sums.grad_norm)
        seconds = self.seconds
        return StepReport(
            epoch=step.epoch,
            step=step.step,
            batch=step.batch,
            loss=float(sums.loss) / taken if taken else math.nan,
            skipped=int(sums.skipped),
            lr=step.lr,
            grad_norm=norm,
            images_per_second=sums.images / seconds,
            data_wait=min(sums.data_seconds / seconds, 1.0),
            seconds=seconds,
        )

    def state_dict(self) -> State:
        """Plain values and tensors."""
        kept: State = {str(step): sums.state_dict() for step, sums in self._kept.items()}
        return self._sums.copy(seconds=self.seconds).state_dict() | {"kept": kept}

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; raises CheckpointError where that does not fit."""
        self._sums = _sums_in(values, part=_PART)
        kept = mapping_in({"kept": {}, **values}, "kept", part=_PART)
        if not all(step.isdecimal() for step in kept):
            raise wrong_part(_PART, "kept", list(kept), "a mapping of steps")
        part = f"{_PART}.kept"
        self._kept = {
            int(step): _sums_in(mapping_in(kept, step, part=part), part=f"{part}.{step}")
            for step in kept
        }
