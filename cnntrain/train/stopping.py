"""When to stop: because the validation error no longer falls, or because someone asks."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class EarlyStopState:
    """What the rule remembers.

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


class StopRequest:
    """A flag that a signal handler may raise; looked at after every batch of every phase."""

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """Ask for a stop after the batch in work; safe in a signal handler."""
        self.requested = True
