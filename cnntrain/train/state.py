"""Where a run stands: everything that training remembers besides weights and random states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from time import perf_counter
from typing import Any

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
from cnntrain.optim.schedules.plateau import PlateauState
from cnntrain.tasks.classification import CLASSIFICATION, sum_dtype
from cnntrain.tasks.protocol import Task
from cnntrain.train.recipe import EarlyStopState
from cnntrain.train.so_far import NOTHING_YET, SoFar, so_far_in


@dataclass(eq=False)
class TrainState:
    """The position in the run, the sums of the current epoch, and what selection remembers.

    Args:
        device: where the sums are kept.
        task: what is counted, and what selects.
        epoch: epochs done.
        step: optimizer steps done in all.
        batch: batches done in the current epoch.
        images: images learnt from in the current epoch.
        seconds: wall time of the current epoch so far.
        data_seconds: of it, spent waiting for batches.
        lr: learning rate of the last step.
        so_far: what came of the epochs that are done.
        best_epoch: the epoch with the best weights, and its cost (see `Task.cost`) and loss.
        plateau: state of the plateau rule.
        early_stop: state of the early-stop rule.
    """

    device: torch.device
    task: Task = CLASSIFICATION
    epoch: int = 0
    step: int = 0
    batch: int = 0
    images: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0
    lr: float = 0.0
    so_far: SoFar = NOTHING_YET
    best_epoch: int | None = None
    best_cost: float | None = None
    best_loss: float | None = None
    plateau: PlateauState = field(default_factory=PlateauState)
    early_stop: EarlyStopState = field(default_factory=EarlyStopState)

    def __post_init__(self) -> None:
        self._began: float | None = None  # on this process's clock; None before training
        self._earlier_seconds = 0.0
        self.loss_sum = torch.zeros((), dtype=sum_dtype(self.device), device=self.device)
        self.weight_sum: float | Tensor = 0.0
        self._sums = self.task.epoch_sums(self.device)
        # 0-d flag, 1 from the first step with a non-finite loss or gradient on; the fused
        # optimizers read it and leave the weights as they were. Never saved: see snapshot.
        self.diverged = torch.zeros((), dtype=torch.float32, device=self.device)
        self.steps_diverged = torch.zeros_like(self.diverged)

    def started(self) -> TrainState:
        """This state with its clock running: training begins, or resumes."""
        self._began = perf_counter()
        return self

    def run_seconds(self) -> float:
        """Wall time of the training until now, that of earlier processes included."""
        here = 0.0 if self._began is None else perf_counter() - self._began
        return self._earlier_seconds + here

    def count(
        self, loss: Tensor, *, weight: float | Tensor, outputs: Tensor, targets: Tensor
    ) -> None:
        """Add one batch to the epoch's sums, without waiting for the device."""
        self.step += 1
        self.batch += 1
        self.images += targets.shape[0]
        if isinstance(weight, Tensor):
            self.loss_sum += loss * weight
        else:
            self.loss_sum.add_(loss, alpha=weight)
        self.weight_sum = self.weight_sum + weight
        self._sums.add(outputs, targets)
        self.steps_diverged += self.diverged

    def train_loss(self) -> float:
        """Mean criterion of the epoch so far; waits for the device."""
        return float(self.loss_sum / self.weight_sum)

    def train_figures(self) -> dict[str, float]:
        """The task's figures of the epoch so far; waits for the device."""
        return self._sums.figures(self.images)

    def take_best(self, epoch: int, *, cost: float, loss: float) -> bool:
        """Remember an evaluation if it is the best so far: of equal ones, the one of less loss."""
        best = (self.best_cost, self.best_loss)
        if None not in best and (cost, loss) >= best:
            return False
        self.best_epoch, self.best_cost, self.best_loss = epoch, cost, loss
        return True

    def best_value(self, select: str) -> float | None:
        """The figure that selected the best weights."""
        return None if self.best_cost is None else self.task.selected(select, self.best_cost)

    def begin_next_epoch(self) -> None:
        """The current epoch is done: set its position and sums back."""
        self.epoch += 1
        self.batch = self.images = 0
        self.seconds = self.data_seconds = 0.0
        self.weight_sum = 0.0
        for total in self._totals().values():
            total.zero_()

    def _totals(self) -> dict[str, Tensor]:
        return {"loss_sum": self.loss_sum, **self._sums.tensors()}

    def state_dict(self) -> State:
        """Plain values and tensors."""
        return {
            **{key: getattr(self, name) for name, key in _PLAIN.items()},
            "weight_sum": float(self.weight_sum),
            **self._totals(),
            "plateau": asdict(self.plateau),
            "early_stop": asdict(self.early_stop),
            "so_far": self.so_far.state_dict(),
            "run_seconds": self.run_seconds(),
        }

    def load_state_dict(self, values: Mapping[str, Any]) -> None:
        """Take over what `state_dict` gave; raises CheckpointError where that does not fit."""
        for name in ("epoch", "step", "batch", "images"):
            setattr(self, name, whole_in(values, name, part=_PART))
        for name in ("seconds", "data_seconds", "lr", "weight_sum"):
            setattr(self, name, number_in(values, name, part=_PART, low=0.0))
        best = {name: value_in(values, key, part=_PART) for name, key in _BEST.items()}
        if None not in best.values():
            best["best_epoch"] = whole_in(values, "best_epoch", part=_PART)
            best["best_cost"] = number_in(values, _BEST["best_cost"], part=_PART)
            if not isinstance(best["best_loss"], float):
                raise wrong_part(_PART, "best_loss", best["best_loss"], "a number")
        elif any(value is not None for value in best.values()):
            raise wrong_part(_PART, "best_epoch", best["best_epoch"], "null, as others are")
        for name, value in best.items():
            setattr(self, name, value)
        for name, total in self._totals().items():
            total.copy_(tensor_in(values, name, like=total, part=_PART))
        self.plateau = PlateauState(**_rule(values, "plateau", ("stale", "drops")))
        self.early_stop = EarlyStopState(**_rule(values, "early_stop", ("stale",)))
        # older checkpoints have neither: their runs count from the resume on
        self.so_far, self._earlier_seconds = NOTHING_YET, 0.0
        if "so_far" in values:
            past = mapping_in(values, "so_far", part=_PART)
            self.so_far = so_far_in(past, part=f"{_PART}.so_far")
        if "run_seconds" in values:
            self._earlier_seconds = number_in(values, "run_seconds", part=_PART, low=0.0)


def _rule(values: Mapping[str, Any], rule: str, counts: Sequence[str]) -> dict[str, Any]:
    """What a rule remembers: the best value, None before there is one, and its counts."""
    part = f"{_PART}.{rule}"
    found = mapping_in(values, rule, part=_PART)
    best = value_in(found, "best", part=part)
    if best is not None:
        best = number_in(found, "best", part=part)
    return {"best": best, **{name: whole_in(found, name, part=part) for name in counts}}


_PART = "train"
"""What this is called in a checkpoint."""

_BEST = {
    "best_epoch": "best_epoch",
    "best_cost": "best_error",  # the key is older than `select`, whose default is the error
    "best_loss": "best_loss",
}
_PLAIN = {
    **{n: n for n in ("epoch", "step", "batch", "images", "seconds", "data_seconds", "lr")},
    **_BEST,
}
"""What is saved as it is, and the keys that checkpoints know it by."""
