"""What a part of scripts/bench yields."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

MET, MISSED = "met", "missed"


@dataclass(frozen=True)
class Row:
    """One figure: of a job, compared with a peer that did the same in the same minutes.

    Args:
        figure: its number in the list of figures, such as B1; empty if it has none.
        job: what was done, such as "LeNet-5, batches of 64, `fit`".
        peer: what did the same; empty where the figure stands on its own.
        median: of the figure; None where it could not be taken, and `note` says why.
        low, high: the quartiles.
        unit: "x" for times the peer's speed, else what is counted, such as "CPU s".
        target: what the figure should reach.
        lower_is_better: the figure should be at most `target`, not at least.
        ours, theirs: what the ratio was made of, with its unit, such as "5,120 images per CPU s".
        note: how to read it.
        reason: why the target is not reached; shown only if it is missed.
    """

    figure: str
    job: str
    peer: str
    median: float | None
    low: float | None = None
    high: float | None = None
    unit: str = "x"
    target: float | None = None
    lower_is_better: bool = False
    ours: str = ""
    theirs: str = ""
    note: str = ""
    reason: str = ""

    @property
    def verdict(self) -> str:
        """Whether the median reaches the target; empty where there is no target, or no median."""
        if self.target is None or self.median is None:
            return ""
        reached = self.median <= self.target if self.lower_is_better else self.median >= self.target
        return MET if reached else MISSED

    def as_data(self) -> dict[str, Any]:
        """For JSON; `Row(**data)` makes it again once `verdict` is taken out."""
        return {**asdict(self), "verdict": self.verdict}


def row(figure: str, job: str, peer: str, values: Sequence[float], **more: Any) -> Row:
    """A row with the median and the quartiles of the values; `more` are `Row`'s own keywords."""
    low, middle, high = spread(values)
    return Row(figure, job, peer, middle, low, high, **more)


def skipped(figure: str, job: str, peer: str, *, because: str) -> Row:
    """A row without a figure."""
    return Row(figure, job, peer, None, note=f"not measured: {because}")


def spread(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median, upper quartile; of a single value that value three times."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high
