"""Remedies of other checks as substitutes, and when they are doubted.

A learning rate that is usual, and yet far too high or low, is seldom the cause: something else
makes the steps long or short, and another rate only makes up for it.
"""

from __future__ import annotations

from cnntrain.assemble.arch_edits import Overrides
from cnntrain.config.loaded import Loaded
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.substitutes import DOUBTED, REMEDY, Substitute

RATE, FAR_OFF = "train.optimizer.lr=", 10.0
"""How another rate is written, and how many times as high or low it is where it is doubted."""

ANY_RATE = (1e-4, 0.1)
"""Learning rates that are usual for any optimizer."""

USUAL_RATES = {
    **dict.fromkeys(("adam", "adamw", "rmsprop", "lamb"), (1e-4, 3e-3)),
    "lion": (3e-5, 1e-3),
    "sgd": (1e-3, 0.1),
}
"""The same of single ones, from the papers' own experiments."""


def of_remedy(finding: Finding, rate: float | None = None) -> Substitute | None:
    """The remedy of a finding, where a short training can show what it does.

    Args:
        finding: what another check is certain of.
        rate: the learning rate, if it is one that is usual for the optimizer. Where another one is
            proposed that is far from it, something else may be wrong.
    """
    if not finding.overrides or any(each.endswith("=auto") for each in finding.overrides):
        return None
    is_doubted = rate is not None and _is_far_from(rate, finding.overrides)
    flags = f"`{finding.flags}`"
    weight = DOUBTED if is_doubted else REMEDY
    return Substitute(
        flags, "with", finding.fault, finding.overrides, is_remedy=True, weight=weight
    )


def _is_far_from(rate: float, overrides: Overrides) -> bool:
    new = [float(each.removeprefix(RATE)) for each in overrides if each.startswith(RATE)]
    return any(not 1 / FAR_OFF < each / rate < FAR_OFF for each in new)


def usual_rate(loaded: Loaded) -> float | None:
    """The learning rate, if it is a usual one for its optimizer."""
    optimizer = loaded.train.optimizer
    low, high = USUAL_RATES.get(optimizer.name, ANY_RATE)
    rate = optimizer.lr
    return rate if isinstance(rate, float) and low <= rate <= high else None
