"""Trying a remedy: two trainings of a copy, without it and with it, on the same images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from cnntrain.config.loaded import Loaded
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.core.errors import CnntrainError, UsageError
from cnntrain.diagnose.faults import SYMPTOMS
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.setup import Patient
from cnntrain.fit.fitted import fit
from cnntrain.record.observe import Observer, Record
from cnntrain.train.events import EpochDone, RunStarted

WORK = 1.5e12
"""Multiply-adds of one training on a CPU, roughly: half a minute on two cores."""


@dataclass(frozen=True)
class Tries:
    """What two trainings need.

    Args:
        loaded: the run file.
        epochs: of each training: the run's, or as many as take half a minute.
        of: the run's.
    """

    loaded: Loaded
    epochs: int
    of: int

    @property
    def run_file(self) -> str:
        """The run file as it is obeyed, as text."""
        return dump_yaml(resolved_tree(self.loaded.config))


@dataclass(frozen=True)
class ShortTraining:
    """One training.

    Args:
        name: of the figure that selects the best weights.
        value: the figure of the best epoch; None where there is none.
        cost: what is least for the best.
        failed: why training did not come to its end.
    """

    name: str
    value: float | None
    cost: float
    failed: str = ""

    @property
    def said(self) -> str:
        """In words."""
        if self.value is None:
            return self.failed
        return f"{self.name} {self.value:.3g}" + (f" ({self.failed})" if self.failed else "")


@dataclass(frozen=True)
class TriedRemedy:
    """A remedy that was tried: its overrides, the epochs of each training, and what came of them.

    `of` are the epochs of a whole training.
    """

    overrides: tuple[str, ...]
    epochs: int
    of: int
    before: ShortTraining
    after: ShortTraining

    @property
    def helped(self) -> bool:
        """Whether the figure is better with the remedy."""
        return self.after.cost < self.before.cost


def tries_of(patient: Patient) -> Tries:
    """What trying needs of the run file or the run that was examined."""
    wanted, prepared = patient.loaded.train.epochs, patient.prepared
    epoch = 3.0 * max(prepared.plan.multiply_adds, 1) * prepared.data.train.size
    epochs = max(1, min(wanted, math.ceil(WORK / epoch)))
    return Tries(patient.loaded, epochs, wanted)


def with_overrides(findings: Sequence[Finding]) -> Finding | None:
    """The first finding whose remedy can be tried; of its effects, the first one that has one.

    Where a cause is known, what may help against a symptom of whatever cause is no remedy.
    """
    each = (
        one
        for found in findings
        for one in (found, *found.effects)
        if one is found or one.fault not in SYMPTOMS
    )
    return next((found for found in each if found.overrides), None)


def try_remedy(
    finding: Finding,
    tries: Tries,
    *,
    epochs: int | None = None,
    tell: Callable[[str], None] = lambda _: None,
) -> TriedRemedy:
    """Train from the start as the run file says, and with the finding's overrides.

    Nothing is written. Both trainings have the same seed, images and epochs.

    Args:
        finding: one that has overrides.
        tries: of the diagnosis.
        epochs: of each training; None: as many as take half a minute.
        tell: called with what begins.

    Raises:
        UsageError: the finding has no overrides.
    """
    if not finding.overrides:
        message = f"the remedy of '{finding.fault}' is no change of the run file"
        raise UsageError(message, remedy=finding.remedy)
    count = tries.epochs if epochs is None else epochs
    short = () if count == tries.of else (f"train.epochs={count}",)
    tell(f"as the run file says, {count} of {tries.of} epochs")
    before = _trained(tries.run_file, short)
    tell(f"with {finding.flags}")
    own = any(override.startswith("train.epochs=") for override in finding.overrides)
    changes = finding.overrides if own and epochs is None else (*finding.overrides, *short)
    after = _trained(tries.run_file, changes)
    return TriedRemedy(finding.overrides, count, tries.of, before, after)


class _Best(Observer):
    """Keeps the figure of the best epoch: of validation, else the loss in training."""

    def __init__(self) -> None:
        self.name, self.value, self.cost = "loss", None, math.inf
        self._started: RunStarted | None = None

    value: float | None

    def observe(self, event: Record) -> None:
        """Take down an epoch, if it is better."""
        if isinstance(event, RunStarted):
            self._started = event
        elif isinstance(event, EpochDone) and self._started is not None:
            self._take(event, self._started)

    def _take(self, event: EpochDone, started: RunStarted) -> None:
        task, name, cost = started.task, "training loss", event.train_loss
        value = cost
        if event.validation is not None:
            cost = task.cost(event.validation, started.select)
            value, name = task.selected(started.select, cost), f"validation {started.select}"
        if cost <= self.cost:
            self.name, self.value, self.cost = name, value, cost


def _trained(run_file: str, overrides: Sequence[str]) -> ShortTraining:
    best, failed = _Best(), ""
    try:
        fit(run_file, overrides=list(overrides), observers=[best], quiet=True)
    except CnntrainError as error:
        failed = str(error.problems[0].message)
    return ShortTraining(best.name, best.value, best.cost, failed)
