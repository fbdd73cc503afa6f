"""From the reports to a diagnosis: what is refuted is left out, and causes come first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from cnntrain.diagnose.faults import SYMPTOMS
from cnntrain.diagnose.ranking import known_faults
from cnntrain.diagnose.report import Finding, Report, Verdict


@dataclass(frozen=True)
class Diagnosis:
    """What all checks together say.

    Args:
        reports: in the order in which the checks were made.
        findings: what is wrong, the one to look at first in front.
        refuted: what one check found and another one refutes.
    """

    reports: tuple[Report, ...]
    findings: tuple[Finding, ...]
    refuted: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst that is left."""
        if self.findings:
            return self.findings[0].verdict
        applied = any(report.applies for report in self.reports)
        return "fine" if applied else "not applicable"


def diagnose(reports: Sequence[Report]) -> Diagnosis:
    """Rank the findings: faults before suspicions, among them causes before what follows.

    The order of causes is that of `known_faults`. A finding is dropped where another check saw
    something that cannot be if it were true: a network that learns well does not suffer from its
    gradients. One that follows from another one which is at least as certain is reported with it,
    as its effect; so is a symptom that follows from a suspicion, which it bears out.
    """
    refuted = {fault for report in reports for fault in report.refutes}
    found = [finding for report in reports for finding in report.findings]
    left = [finding for finding in found if finding.fault not in refuted]
    order = list(known_faults())

    def rank(finding: Finding) -> tuple[bool, int]:
        return not finding.is_certain, order.index(finding.fault)

    left.sort(key=rank)
    dropped = [finding for finding in found if finding.fault in refuted]
    return Diagnosis(tuple(reports), tuple(sorted(_folded(left), key=rank)), tuple(dropped))


def _folded(ranked: Sequence[Finding]) -> tuple[Finding, ...]:
    """Each finding below the one that it follows from in the end, or that says the same."""
    places = range(len(ranked))
    above = dict(zip(places, places, strict=True))

    def root(place: int) -> int:
        return place if above[place] == place else root(above[place])

    for place, finding in enumerate(ranked):
        for other, cause in enumerate(ranked):
            is_sure = cause.is_certain >= finding.is_certain or finding.fault in SYMPTOMS
            is_cause = is_sure and cause.fault in finding.follows
            is_same = cause.fault == finding.fault and other < place
            if (is_cause or is_same) and root(other) != place:  # no circles
                above[place] = other
                break
    told = []
    for first in (place for place in places if above[place] == place):
        effects = tuple(ranked[each] for each in places if root(each) == first != each)
        is_certain = any(each.is_certain for each in (ranked[first], *effects))
        told.append(replace(ranked[first], effects=effects, is_certain=is_certain))
    return tuple(told)
