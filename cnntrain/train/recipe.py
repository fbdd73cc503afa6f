"""How to train: everything about a run's training that is a plain number or a pure function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from torch import nn

from cnntrain.core.errors import ConfigError
from cnntrain.core.patterns import around, covered
from cnntrain.optim import Schedule
from cnntrain.optim.schedules.constant import constant
from cnntrain.optim.schedules.plateau import Plateau, PlateauState
from cnntrain.train.evaluation import answering

OnDivergence: TypeAlias = Literal["stop", "skip", "rollback"]


@dataclass(frozen=True)
class EarlyStopState:
    """What early stopping remembers.

    Args:
        best: the lowest validation error so far (fraction), None before the first evaluation.
        stale: evaluations since the last improvement.
    """

    best: float | None = None
    stale: int = 0


@dataclass(frozen=True)
class EarlyStop:
    """Stop after `patience` evaluations in a row without an improvement.

    Args:
        patience: evaluations without improvement that end the run, at least 1.
        min_delta: least improvement of the error that counts, as a fraction (0.001 is 0.1 points).
    """

    patience: int = 10
    min_delta: float = 0.0

    def after(self, state: EarlyStopState, error: float) -> EarlyStopState:
        """The state after an evaluation with this validation error."""
        if state.best is None or error < state.best - self.min_delta:
            return EarlyStopState(best=error)
        return replace(state, stale=state.stale + 1)

    def reached(self, state: EarlyStopState) -> bool:
        """Whether it is time to stop."""
        return state.stale >= self.patience


@dataclass(frozen=True)
class Freezing:
    """Which layers are frozen, until when and from when on; by default none.

    Frozen layers keep their weights and their batch normalisation statistics, and compute as in
    evaluation: dropout and stochastic depth in them do nothing. No gradient is computed for them,
    and below the first layer that learns nothing is kept for the backward pass.

    Layers may learn from a later epoch on, usually the last ones first (gradual unfreezing: Howard
    and Ruder, "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.3).

    Others may learn at first and be frozen later, usually the first ones, which settle early
    (progressive freezing: Brock, Lim, Ritchie and Weston, "FreezeOut: Accelerate Training by
    Progressively Freezing Layers", 2017).

    Args:
        layers: names or shell patterns; what is in a layer is frozen with it.
        until: epoch, from 1, to names or patterns of those of them that learn from then on.
        later: epoch to names or patterns of layers that are frozen from then on.
    """

    layers: tuple[str, ...] = ()
    until: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    later: Mapping[int, tuple[str, ...]] = field(default_factory=dict)

    def begins(self, name: str) -> int | None:
        """The epoch, from 1, from which on a parameter or a module learns; None: it never does."""
        if not covered(self.layers, name):
            return 1
        epochs = [epoch for epoch, patterns in self.until.items() if covered(patterns, name)]
        return min(epochs, default=None)

    def ends(self, name: str) -> int | None:
        """The first epoch in which a parameter or a module no longer learns; None: none is."""
        epochs = [epoch for epoch, patterns in self.later.items() if covered(patterns, name)]
        return min(epochs, default=None)

    def is_frozen(self, name: str, *, epoch: int | None) -> bool:
        """Whether a parameter or a module is frozen in an epoch, from 1; None: in all of them."""
        begin, end = self.begins(name), self.ends(name)
        if epoch is None or begin is None:
            return begin is None
        return not begin <= epoch < (end or epoch + 1)

    def hold(self, net: nn.Module, *, epoch: int | None) -> None:
        """Freeze the layers that are frozen in an epoch, from 1, and let the others learn.

        A parameter learns if it has `requires_grad`; a module that is frozen with all that is in
        it gets `frozen = True`, which `training_mode` obeys. Without layers nothing is touched.
        Of all epochs together (None) all that ever learns does.
        """
        if not self.layers and not self.later:
            return
        for name, parameter in net.named_parameters():
            parameter.requires_grad_(not self.is_frozen(name, epoch=epoch))
        modules = dict(net.named_modules())
        learning = [name for name in modules if not self.is_frozen(name, epoch=epoch)]
        learn = {outer for name in learning for outer in around(name)}
        for name, module in modules.items():
            object.__setattr__(module, "frozen", name not in learn)


@dataclass(frozen=True)
class Recipe:
    """The numbers of a training run.

    Args:
        epochs: passes over the training set.
        lr: base learning rate.
        lr_scale: what the run file's rate was multiplied by to be that; for advice only.
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
        keeps_last: keep the weights of the last epoch that was evaluated instead of the best.
        evaluate_every: epochs between evaluations; the last epoch is always evaluated.
        evaluate_views: of each image in evaluation, whose outputs are averaged; see `ManyViews`.
        norm_every: steps between reports of the gradient norm (it costs time); 0 is never. With
            `clip_norm` it is known, and reported, at every step.
        check_every: steps between looks at the divergence flag on an accelerator, where looking
            waits for the device. On the CPU it is looked at after every step.
        on_divergence: what follows a loss or a gradient that is not finite: `stop`; `skip` leaves
            the step out; `rollback` goes back to the start of the epoch and halves the learning
            rate. See `cnntrain.train.skipping` for how often.
        cuda_graphs: steps are CUDA graphs; see `cnntrain.train.graphed`.
        seed: of what layers draw where several processes train together; see `Processes`.
    """

    epochs: int
    lr: float
    lr_scale: float = 1.0
    schedule: Schedule = field(default_factory=constant)
    plateau: Plateau | None = None
    accumulate: int = 1
    l1: float = 0.0
    l2_sp: float = 0.0
    freezing: Freezing = field(default_factory=Freezing)
    clip_norm: float | None = None
    early_stop: EarlyStop | None = None
    evaluate_every: int = 1
    evaluate_views: int = 1
    select: str = "error"
    keeps_last: bool = False
    norm_every: int = 50
    check_every: int = 50
    on_divergence: OnDivergence = "stop"
    cuda_graphs: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "accumulate", "evaluate_every", "check_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}")

    @property
    def skips(self) -> bool:
        """Whether a step that is not finite is left out."""
        return self.on_divergence == "skip"

    @property
    def goes_back(self) -> bool:
        """Whether training goes back to the start of the epoch."""
        return self.on_divergence == "rollback"

    def learning_rate(self, step: int, plateau: PlateauState) -> float:
        """Of the step that follows `step` finished ones, before the groups' factors."""
        lr = self.lr * self.schedule(step)
        return lr if self.plateau is None else lr * self.plateau.factor(plateau)

    def wants_norm(self, step: int) -> bool:
        """Whether the gradient norm is computed at step `step` (from 1)."""
        due = self.norm_every > 0 and step % self.norm_every == 0
        return due or self.clip_norm is not None

    def answering(self, net: nn.Module) -> nn.Module:
        """What is evaluated of a network."""
        return answering(net, views=self.evaluate_views)

    def evaluates(self, epoch: int) -> bool:
        """Whether epoch `epoch` (from 1) is followed by an evaluation."""
        return epoch % self.evaluate_every == 0 or epoch == self.epochs
