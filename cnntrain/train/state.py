"""Where a run stands: everything that training remembers besides weights and random states."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor

from cnntrain.checkpoint import State
from cnntrain.core.errors import CheckpointError
from cnntrain.optim.schedules.plateau import PlateauState
from cnntrain.tasks import Classification, sum_dtype
from cnntrain.tasks.criterion import foremost
from cnntrain.train.stopping import EarlyStopState


@dataclass(eq=False)
class TrainState:
    """The position in the run, the sums of the current epoch, and what selection remembers.

    Args:
        device: where the sums are kept.
        epoch: epochs done.
        step: optimizer steps done in all.
        batch: batches done in the current epoch.
        images: images learnt from in the current epoch.
        seconds: wall time of the current epoch so far.
        data_seconds: of it, spent waiting for batches.
        lr: learning rate of the last step.
        best_epoch: the epoch with the lowest validation error, and that error and loss.
        plateau: state of the plateau rule.
        early_stop: state of the early-stop rule.
    """

    device: torch.device
    epoch: int = 0
    step: int = 0
    batch: int = 0
    images: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0
    lr: float = 0.0
    best_epoch: int | None = None
    best_error: float | None = None
    best_loss: float | None = None
    plateau: PlateauState = field(default_factory=PlateauState)
    early_stop: EarlyStopState = field(default_factory=EarlyStopState)

    def __post_init__(self) -> None:
        self.loss_sum = torch.zeros((), dtype=sum_dtype(self.device), device=self.device)
        self.weight_sum: float | Tensor = 0.0
        self._wrong = torch.zeros((), dtype=torch.int64, device=self.device)
        self._uncounted: list[tuple[Tensor, Tensor]] = []
        # 0-d flag, 1 from the first step with a non-finite loss or gradient on; the fused
        # optimizers read it and leave the weights as they were. Never saved: see snapshot.
        self.diverged = torch.zeros((), dtype=torch.float32, device=self.device)
        self.steps_diverged = torch.zeros_like(self.diverged)

    def count(
        self, loss: Tensor, *, weight: float | Tensor, logits: Tensor, targets: Tensor
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
        self._uncounted.append((logits, foremost(targets)))
        if len(self._uncounted) >= _TOGETHER:
            self._count_wrong()
        self.steps_diverged += self.diverged

    @property
    def wrong(self) -> Tensor:
        """Images misclassified in the epoch so far, 0-d int64 on the device."""
        self._count_wrong()
        return self._wrong

    def _count_wrong(self) -> None:
        if self._uncounted:
            logits, targets = (torch.cat(parts) for parts in zip(*self._uncounted, strict=True))
            self._wrong += (logits.argmax(dim=1) != targets).sum()
            self._uncounted.clear()

    def train_loss(self) -> float:
        """Mean criterion of the epoch so far; waits for the device."""
        return float(self.loss_sum / self.weight_sum)

    def train_error(self) -> float:
        """Fraction misclassified in the epoch so far; waits for the device."""
        return int(self.wrong) / self.images if self.images else float("nan")

    def take_best(self, epoch: int, metrics: Classification) -> bool:
        """Remember an evaluation if it is the best so far; tells whether it is."""
        rank = (metrics.error, metrics.loss)
        if self.best_error is not None and self.best_loss is not None:
            best = (self.best_error, self.best_loss)
            if rank >= best:
                return False
        self.best_epoch, (self.best_error, self.best_loss) = epoch, rank
        return True

    def begin_next_epoch(self) -> None:
        """The current epoch is done: set its position and sums back."""
        self.epoch += 1
        self.batch = self.images = 0
        self.seconds = self.data_seconds = 0.0
        self.weight_sum = 0.0
        for total in (self.loss_sum, self.wrong):
            total.zero_()

    def state_dict(self) -> State:
        """Plain values and tensors."""
        values: State = {name: getattr(self, name) for name in _PLAIN}
        values |= {"weight_sum": float(self.weight_sum)}
        values |= {name: getattr(self, name) for name in _SUMS}
        values |= {"plateau": asdict(self.plateau), "early_stop": asdict(self.early_stop)}
        return values

    def load_state_dict(self, values: State) -> None:
        """Take over what `state_dict` gave; raises CheckpointError where something is missing."""
        try:
            for name in _PLAIN:
                setattr(self, name, values[name])
            for name in _SUMS:
                saved = values[name]
                assert isinstance(saved, Tensor)
                getattr(self, name).copy_(saved)
            weight_sum = values["weight_sum"]
            assert isinstance(weight_sum, float)
            self.weight_sum = weight_sum
            plateau, early_stop = values["plateau"], values["early_stop"]
            assert isinstance(plateau, dict)
            assert isinstance(early_stop, dict)
            self.plateau = PlateauState(**plateau)
            self.early_stop = EarlyStopState(**early_stop)
        except (KeyError, TypeError, AssertionError) as error:
            raise CheckpointError(f"the checkpoint's position does not fit: {error}") from error


_PLAIN = (
    "epoch",
    "step",
    "batch",
    "images",
    "seconds",
    "data_seconds",
    "lr",
    "best_epoch",
    "best_error",
    "best_loss",
)
_SUMS = ("loss_sum", "wrong")
_TOGETHER = 16
"""Batches whose mistakes are counted at once: one by one it is 1 % of a small network's step."""
