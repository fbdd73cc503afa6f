"""Divide the learning rate when the validation error settles: transitions of a small state."""

from __future__ import annotations

from dataclasses import dataclass, replace

from cnntrain.core.kinds import AboveOne, Fraction, Positive
from cnntrain.optim import schedule


@dataclass(frozen=True)
class PlateauState:
    """What the rule remembers.

    Args:
        best: the lowest validation error so far (fraction), None before the first evaluation.
        stale: evaluations since the last improvement or drop.
        drops: how often the learning rate was divided.
    """

    best: float | None = None
    stale: int = 0
    drops: int = 0


@schedule("plateau", reads_validation=True)
class Plateau:
    """Divide the learning rate when the validation error settles.

    After `patience` evaluations in a row without an improvement; an evaluation improves when
    `error < best - min_delta`. The drop comes at the `patience`-th evaluation without one (torch's
    ReduceLROnPlateau(patience=p) drops at the p+1-th). Krizhevsky, Sutskever and Hinton, "ImageNet
    Classification with Deep Convolutional Neural Networks", 2012, section 5: "divide the learning
    rate by 10 when the validation error rate stopped improving with the current learning rate".

    Args:
        patience: Evaluations without a new lowest validation error after which it is divided.
        divide_by: What it is divided by.
        min_delta: By how much the error (a fraction) must fall to count as lower.
    """

    def __init__(
        self, *, patience: Positive = 5, divide_by: AboveOne = 10.0, min_delta: Fraction = 0.0
    ) -> None:
        self.patience = patience
        self.divide_by = divide_by
        self.min_delta = min_delta

    def __call__(self, step: int, /) -> float:
        """1 at every step: only the validation error changes the rate."""
        return 1.0

    def after(self, state: PlateauState, error: float) -> PlateauState:
        """The state after an evaluation with this validation error."""
        if state.best is None or error < state.best - self.min_delta:
            return replace(state, best=error, stale=0)
        if state.stale + 1 < self.patience:
            return replace(state, stale=state.stale + 1)
        return replace(state, stale=0, drops=state.drops + 1)

    def factor(self, state: PlateauState) -> float:
        """What the schedule's factor is multiplied by."""
        return float(self.divide_by**-state.drops)
