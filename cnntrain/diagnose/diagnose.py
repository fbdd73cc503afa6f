"""Examining a run file or a run: the checks are made, and their reports put in order."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

from cnntrain.config.from_python import Changes, Source
from cnntrain.core.choices import CHECKS
from cnntrain.core.entry import Entry
from cnntrain.core.problems import near_match
from cnntrain.data.left_out import summaries
from cnntrain.diagnose.faults import MEASURED, SYMPTOMS, asked_checks, known_faults, wrong_check
from cnntrain.diagnose.given import keywords
from cnntrain.diagnose.pasted_remedies import mended
from cnntrain.diagnose.report import Finding, Report, Verdict
from cnntrain.diagnose.setup import open_patient
from cnntrain.diagnose.tries import Tries, tries_of
from cnntrain.train import undisturbed


@dataclass(frozen=True)
class Diagnosis:
    """What all checks together say.

    Args:
        reports: in the order in which the checks were made.
        findings: what is wrong, the one to look at first in front.
        refuted: what one check found and another one refutes.
        notes: on plugins that are not what they were in the run.
        tries: what trying a remedy needs.
    """

    reports: tuple[Report, ...]
    findings: tuple[Finding, ...]
    refuted: tuple[Finding, ...]
    notes: tuple[str, ...] = ()
    tries: Tries | None = None

    @property
    def unjudged(self) -> tuple[Report, ...]:
        """Those that could say nothing, which is not to say that all is well."""
        return tuple(report for report in self.reports if not report.applies)

    @property
    def open_questions(self) -> tuple[tuple[str, str], ...]:
        """Names of checks, and what each of them could not judge, in part or at all, and why."""
        return tuple(
            (report.check, why)
            for report in self.reports
            for why in (*(() if report.applies else (report.headline,)), *report.unjudged)
        )

    @property
    def judging(self) -> tuple[str, ...]:
        """The names of the checks that could judge something."""
        return tuple(report.check for report in self.reports if report.applies)

    @property
    def verdict(self) -> Verdict:
        """The worst that is left."""
        if self.findings:
            return self.findings[0].verdict
        applied = any(report.applies for report in self.reports)
        return "fine" if applied else "not applicable"


def examine(
    file_or_run: Source,
    *,
    checks: Sequence[str] = (),
    overrides: Changes = (),
    plugins: Sequence[str | os.PathLike[str]] = (),
    tell: Callable[[Report], None] | None = None,
) -> Diagnosis:
    """Find out why a network does not learn; nothing is printed, written or changed.

    Args:
        file_or_run: a run file, the name of a shipped one, its text, or its contents as a mapping;
            or a run's folder, or a checkpoint.
        checks: names of checks, such as `gradients`; none is all of them.
        overrides: changes of single values, such as `{"train.optimizer.lr": 0.1}`.
        plugins: files with code that may run, because you trust it, such as checks of your own.
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
        files = [Path(file) for file in plugins]
        patient = open_patient(file_or_run, overrides=overrides, plugins=files, checks=checks)
        for entry in asked_checks(checks):
            began = perf_counter()
            with patient.until_checked:
                report = CHECKS.load(entry.name)(**keywords(entry, patient))
            _check_faults(entry, report)
            findings = tuple(mended(finding, patient) for finding in report.findings)
            report = replace(report, findings=findings, seconds=perf_counter() - began)
            reports.append(report)
            patient.causes.extend(each for each in findings if is_cause(each))
            if tell is not None:
                tell(report)
    unused = summaries(patient.prepared.data.left_out)
    found = replace(conclude(reports), notes=(*patient.loaded.notes, *unused))
    return replace(found, tries=tries_of(patient))


def is_cause(finding: Finding) -> bool:
    """Whether it says for certain what is wrong."""
    return finding.is_certain and finding.fault not in SYMPTOMS


def _check_faults(entry: Entry, report: Report) -> None:
    """Refuse faults of a plugin's check that are declared nowhere, at its line."""
    known = known_faults()
    codes = [code for found in report.findings for code in (found.fault, *found.follows)]
    for code in [code for code in codes if code not in known]:
        near = near_match(code, known)
        meant = f"did you mean '{near}'? Else" if near else ""
        raise wrong_check(
            entry,
            f"the check '{entry.name}' reports the fault '{code}', which it does not declare",
            f'{meant} add faults={{"{code}": "what it means"}} to `@check`'.strip(),
        )


def conclude(reports: Sequence[Report]) -> Diagnosis:
    """Rank the findings: faults before suspicions, then what explains more symptoms, then causes.

    What a user sees are `SYMPTOMS`: a cause that explains two of them stands before one that
    explains one or none; else the order of causes is that of `known_faults`. A finding is dropped
    where another check saw something that cannot be if it were true: a network that learns well
    does not suffer from its gradients. One that follows from another one which is at least as
    certain is reported with it, as its effect; so is a symptom that follows from a suspicion, which
    it bears out.
    """
    refuted = {fault for report in reports for fault in report.refutes}
    found = [
        replace(finding, check=report.check) for report in reports for finding in report.findings
    ]
    dropped = tuple(finding for finding in found if finding.fault in refuted)
    order = list(known_faults())

    def rank(finding: Finding) -> tuple[bool, int, int]:
        explained = {effect.fault for effect in finding.effects} & set(SYMPTOMS)
        return not finding.is_certain, -len(explained), order.index(finding.fault)

    left = sorted((finding for finding in found if finding.fault not in refuted), key=rank)
    shown = tuple(_without(report, refuted) for report in reports)
    return Diagnosis(shown, tuple(sorted(_folded(left), key=rank)), dropped)


def _without(report: Report, refuted: Collection[str]) -> Report:
    """The report without what another check refutes, so that its verdict is that of the whole."""
    kept = tuple(finding for finding in report.findings if finding.fault not in refuted)
    if len(kept) == len(report.findings):
        return report
    headline = kept[0].headline if kept else f"{report.headline}; but another check refutes it"
    return replace(report, findings=kept, headline=headline)


def _folded(ranked: Sequence[Finding]) -> Iterator[Finding]:
    """Each finding below the one that it follows from in the end, or that says the same."""
    above: dict[int, int] = {}

    def root(place: int) -> int:
        return root(above[place]) if place in above else place

    for place, finding in enumerate(ranked):
        for other, cause in enumerate(ranked):
            is_sure = cause.is_certain >= finding.is_certain or finding.fault in SYMPTOMS
            is_cause = is_sure and cause.fault in finding.follows
            is_same = cause.fault == finding.fault and other < place
            if (is_cause or is_same) and root(other) != place:  # no circles
                above[place] = other
                break
    for first, finding in enumerate(ranked):
        if first not in above:
            effects = tuple(ranked[each] for each in above if root(each) == first)
            is_certain = any(each.is_certain for each in (finding, *effects))
            yield replace(_with_measured(finding, effects), effects=effects, is_certain=is_certain)


def _with_measured(finding: Finding, effects: Sequence[Finding]) -> Finding:
    """The finding with a remedy that was tried, and was better than its own."""
    best = next((each for each in effects if each.fault in MEASURED), None)
    if best is None:
        return finding
    return replace(finding, remedy=f"{best.remedy}: {best.headline}", overrides=best.overrides)
