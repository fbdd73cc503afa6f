"""Divide the learning rate when the validation error settles: a pure transition of a small state.

Krizhevsky, Sutskever, Hinton 2012, section 5: "divide the learning rate by 10 when the validation
error rate stopped improving with the current learning rate".
"""

from __future__ import annotations

from dataclasses import dataclass, replace


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


@dataclass(frozen=True)
class Plateau:
    """The rule: after `patience` evaluations in a row without an improvement, divide.

    An evaluation improves when `error < best - min_delta`. The drop comes at the `patience`-th
    evaluation without one (torch's ReduceLROnPlateau(patience=p) drops at the p+1-th).

    Args:
        patience: evaluations without improvement that make a drop, at least 1.
        min_delta: least improvement of the error that counts, as a fraction (0.001 is 0.1 points).
        divide_by: what a drop divides the learning rate by.
    """

    patience: int = 5
    min_delta: float = 0.0
    divide_by: float = 10.0

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
