"""Examining a run file or a run: the checks are made, and their reports put in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import perf_counter

from cnntrain.config.from_python import Changes, Source
from cnntrain.core.choices import CHECKS
from cnntrain.diagnose.doctor import Diagnosis
from cnntrain.diagnose.doctor import diagnose as conclude
from cnntrain.diagnose.filled import keywords
from cnntrain.diagnose.ranking import asked_checks
from cnntrain.diagnose.report import Report
from cnntrain.diagnose.setup import open_patient
from cnntrain.train import undisturbed


def examine(
    file_or_run: Source,
    *,
    checks: Sequence[str] = (),
    overrides: Changes = (),
    tell: Callable[[Report], None] | None = None,
) -> Diagnosis:
    """Find out why a network does not learn; nothing is printed, written or changed.

    Args:
        file_or_run: a run file, the name of a shipped one, its text, or its contents as a mapping;
            or a run's folder, or a checkpoint.
        checks: names of checks, such as `gradients`; none is all of them.
        overrides: changes of single values, such as `{"train.optimizer.lr": 0.1}`.
        tell: called with each report as soon as it is there.

    Returns:
        The `findings`, causes first, each with headline, evidence and remedy; and the `reports` of
        all checks, with their tables and pictures.

    Raises:
        UsageError: there is no such check.
        ConfigError, DataError, CheckpointError: what is to be examined cannot be opened.
    """
    reports = []
    with undisturbed():
        patient = open_patient(file_or_run, overrides=overrides, checks=checks)
        for entry in asked_checks(checks):
            began = perf_counter()
            with patient.until_checked:
                report = CHECKS.load(entry.name)(**keywords(entry, patient))
            report = replace(report, seconds=perf_counter() - began)
            reports.append(report)
            if tell is not None:
                tell(report)
    return conclude(reports)
