"""How to train: everything about a run's training that is a plain number or a pure function."""

from __future__ import annotations

from dataclasses import dataclass, field

from cnntrain.core.errors import ConfigError
from cnntrain.optim import Schedule
from cnntrain.optim.schedules.constant import constant
from cnntrain.optim.schedules.plateau import Plateau, PlateauState
from cnntrain.train.freezing import Freezing
from cnntrain.train.stopping import EarlyStop


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run.

    Args:
        epochs: passes over the training set.
        lr: base learning rate.
        schedule: factor of the learning rate by step.
        plateau: divide the learning rate when the validation error settles.
        accumulate: work through each batch in so many parts, to save memory; the gradient is that
            of the whole batch, and the learning rate stays (batch norm sees the parts).
        l1: weight of the sum of absolute values of the decayed weights in the loss.
        l2_sp: weight decay towards the learner's starting point, for the parameters that have one:
            `l2_sp / 2 * |w - w0|^2` is added to the loss (L2-SP: Li, Grandvalet and Davoine,
            "Explicit Inductive Bias for Transfer Learning with Convolutional Networks", 2018,
            equation 2), with any optimizer, and before the gradient is clipped.
        freezing: which layers are frozen in which epoch.
        clip_norm: scale the gradient down to this Euclidean norm where it is longer.
        early_stop: end the run when the validation error no longer falls.
        select: what chooses the best weights, and what early stopping and a plateau look at; one
            of the task's.
        evaluate_every: epochs between evaluations; the last epoch is always evaluated.
        norm_every: steps between reports of the gradient norm (it costs time); 0 is never. With
            `clip_norm` it is known, and reported, at every step.
        check_every: steps between looks at the divergence flag on an accelerator, where looking
            waits for the device. On the CPU it is looked at after every step.
    """

    epochs: int
    lr: float
    schedule: Schedule = field(default_factory=constant)
    plateau: Plateau | None = None
    accumulate: int = 1
    l1: float = 0.0
    l2_sp: float = 0.0
    freezing: Freezing = field(default_factory=Freezing)
    clip_norm: float | None = None
    early_stop: EarlyStop | None = None
    evaluate_every: int = 1
    select: str = "error"
    norm_every: int = 50
    check_every: int = 50

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate", "evaluate_every", "check_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")

    def learning_rate(self, step: int, plateau: PlateauState) -> float:
        """Of the step that follows `step` finished ones, before the groups' factors."""
        lr = self.lr * self.schedule(step)
        return lr if self.plateau is None else lr * self.plateau.factor(plateau)

    def wants_norm(self, step: int) -> bool:
        """Whether the gradient norm is computed at step `step` (from 1)."""
        due = self.norm_every > 0 and step % self.norm_every == 0
        return due or self.clip_norm is not None

    def evaluates(self, epoch: int) -> bool:
        """Whether epoch `epoch` (from 1) is followed by an evaluation."""
        return epoch % self.evaluate_every == 0 or epoch == self.epochs
