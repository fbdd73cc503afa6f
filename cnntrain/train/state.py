"""Where a run stands: everything that training remembers besides weights and random states."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
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
from cnntrain.train.on_host import OnHost
from cnntrain.train.recipe import EarlyStopState
from cnntrain.train.so_far import NOTHING_YET, SoFar, so_far_in
from cnntrain.train.together import ALONE, Processes


class Skips:
    """Steps that were left out because they were not finite; all on the device.

    Attributes:
        in_epoch: of the current epoch.
        images: in them.
        in_row: the last ones, up to the newest step.
        most_in_row: the longest such row that ended in the current epoch, or has not ended.
    """

    def __init__(self, device: torch.device) -> None:
        make = partial(torch.zeros, (), dtype=torch.int64, device=device)
        self.in_epoch, self.images, self.in_row, self.most_in_row = make(), make(), make(), make()

    def count(self, flag: Tensor, *, images: int) -> None:
        """Take in a step, which was left out if the flag is 1."""
        now = (flag > 0).long()
        self.in_epoch += now
        self.images += now * images
        self.in_row.add_(now).mul_(now)
        torch.maximum(self.most_in_row, self.in_row, out=self.most_in_row)

    def begin_next_epoch(self) -> None:
        """Set back what is of an epoch."""
        self.in_epoch.zero_()
        self.images.zero_()
        self.most_in_row.copy_(self.in_row)


@dataclass(eq=False)
class TrainState:
    """The position in the run, the sums of the current epoch, and what selection remembers.

    Args:
        device: where the sums are kept.
        task: what is counted, and what selects.
        processes: whose images are counted; the sums are the same in all of them.
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
        rollbacks: how often training went back to an epoch's start; each halves the learning rate.
    """

    device: torch.device
    task: Task = CLASSIFICATION
    processes: Processes = ALONE
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
    rollbacks: int = 0

    def __post_init__(self) -> None:
        self._began: float | None = None  # on this process's clock; None before training
        self._earlier_seconds = 0.0
        self.loss_sum = torch.zeros((), dtype=sum_dtype(self.device), device=self.device)
        self.weight_sum: float | Tensor = 0.0
        self._sums = self.task.epoch_sums(self.device)
        # 0-d flag, 1 from the first step with a non-finite loss or gradient on, or only in that
        # step if such steps are skipped; the fused optimizers read it and leave the weights as they
        # were. Never saved: see snapshot.
        self.diverged = torch.zeros((), dtype=torch.float32, device=self.device)
        # Steps since that one, itself included; 0 if there was none.
        self.steps_diverged = torch.zeros_like(self.diverged)
        self.skips = Skips(self.device)
        self._on_host = OnHost.of(self.loss_sum, self.diverged, self.steps_diverged)

    @property
    def rate_factor(self) -> float:
        """Of the learning rate."""
        return 0.5**self.rollbacks

    def started(self, *, after: float | None = None) -> TrainState:
        """This state with its clock running: training begins, or resumes, `after` some seconds."""
        self._began = perf_counter()
        self._earlier_seconds = self._earlier_seconds if after is None else after
        return self

    def run_seconds(self) -> float:
        """Wall time of the training until now, that of earlier processes included."""
        here = 0.0 if self._began is None else perf_counter() - self._began
        return self._earlier_seconds + here

    def count(
        self,
        loss: Tensor,
        *,
        weight: float | Tensor,
        outputs: Tensor,
        targets: Tensor,
        images: int,
        skips: bool = False,
    ) -> None:
        """Add one batch to the epoch's sums, without waiting for the device.

        Args:
            loss: 0-d mean of the batch, over `weight`.
            outputs, targets: of the batch; of several processes, of those of its images that were
                read here.
            images: of the batch.
            skips: whether it is not counted in where the flag `diverged` is 1.
        """
        self.step += 1
        self.batch += 1
        self.images += images
        if not skips:  # the flag stays 1
            if self._on_host is None:
                self.steps_diverged += self.diverged
            else:
                self._on_host.steps_diverged[()] += self._on_host.diverged
        else:
            self.steps_diverged += ((self.diverged + self.steps_diverged) > 0).float()
            self.steps_diverged.copy_(torch.where(self.diverged > 0, 1.0, self.steps_diverged))
            self.skips.count(self.diverged, images=images)
            weight = weight * (1 - self.diverged)
        if isinstance(weight, Tensor):
            self.loss_sum += loss * weight
        elif self._on_host is None:
            self.loss_sum.add_(loss, alpha=weight)
        else:
            self._on_host.loss_sum[()] += loss.item() * weight
        self.weight_sum = self.weight_sum + weight
        if self.processes.is_alone:
            self._sums.add(outputs, targets)
        else:
            self._add_of_all(outputs, targets, images=images)

    def _add_of_all(self, outputs: Tensor, targets: Tensor, *, images: int) -> None:
        """Count what every process has of a batch, so that the sums are the same in all."""
        before = {name: value.clone() for name, value in self._sums.tensors().items()}
        if self.processes.share.counted(images):
            self._sums.add(outputs, targets)
        for name, value in self._sums.tensors().items():
            value.copy_(before[name] + self.processes.total(value - before[name]))

    def train_loss(self) -> float:
        """Mean criterion of the epoch so far; waits for the device."""
        return float(self.loss_sum / self.weight_sum)

    def train_figures(self) -> dict[str, float]:
        """The task's figures of the epoch so far; waits for the device."""
        return self._sums.figures(self.images - int(self.skips.images))

    def take_best(self, epoch: int, *, cost: float, loss: float, anyway: bool = False) -> bool:
        """Remember an evaluation if it is the best so far: of equal ones, the one of less loss.

        With `anyway` also if it is not.
        """
        best = (self.best_cost, self.best_loss)
        if not anyway and None not in best and (cost, loss) >= best:
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
        self.skips.begin_next_epoch()
        self.steps_diverged.zero_()
        for total in self.sums().values():
            total.zero_()

    def sums(self) -> dict[str, Tensor]:
        """The sums over the epoch so far, by the names that checkpoints know them by."""
        return {"loss_sum": self.loss_sum, **self._sums.tensors()}

    def state_dict(self) -> State:
        """Plain values and tensors."""
        return {
            **{key: getattr(self, name) for name, key in _PLAIN.items()},
            "weight_sum": float(self.weight_sum),
            **self.sums(),
            "plateau": asdict(self.plateau),
            "early_stop": asdict(self.early_stop),
            "so_far": self.so_far.state_dict(),
            "run_seconds": self.run_seconds(),
            "skips": {name: int(value) for name, value in vars(self.skips).items()},
            "rollbacks": self.rollbacks,
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
        for name, total in self.sums().items():
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
        # Checkpoints from before there were such steps: none was skipped or undone.
        skips = mapping_in(values, "skips", part=_PART) if "skips" in values else {}
        for name, value in vars(self.skips).items():
            value.fill_(whole_in(skips, name, part=f"{_PART}.skips") if skips else 0)
        self.rollbacks = whole_in(values, "rollbacks", part=_PART) if "rollbacks" in values else 0
        self.diverged.zero_()
        self.steps_diverged.zero_()


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
