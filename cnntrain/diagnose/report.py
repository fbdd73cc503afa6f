"""What a check found: plain values, tables and pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from matplotlib.figure import Figure

from cnntrain.core.remark import as_flags

Verdict = Literal["fine", "suspect", "fault", "not applicable"]
Cell = str | int | float | None


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Args:
        fault: its code, one of `FAULTS` or of those that a plugin declares.
        headline: what is wrong, with the layer and the most telling number.
        evidence: the numbers it rests on, in a sentence.
        remedy: what to do next.
        is_certain: a fault; else it is a suspicion.
        follows: faults of which this one is an effect, where they are found, too.
        effects: what is found because of it; the doctor fills it in.
        overrides: the remedy as what follows `-s`, where changes of the run file mend it; all of
            them together, none of which changes what the network is to do.
        layers: names of the layers that are to blame, where they are known.
        check: that found it; the doctor fills it in.
    """

    fault: str
    headline: str
    evidence: str
    remedy: str
    is_certain: bool = True
    follows: tuple[str, ...] = ()
    effects: tuple[Finding, ...] = ()
    overrides: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    check: str = ""

    @property
    def verdict(self) -> Verdict:
        """`fault` or `suspect`."""
        return "fault" if self.is_certain else "suspect"

    @property
    def flags(self) -> str:
        """The overrides as they are typed."""
        return as_flags(self.overrides)


@dataclass(frozen=True)
class Table:
    """Rows of words and numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Plot:
    """A figure with what is to be seen in it."""

    title: str
    figure: Figure

    def png(self) -> bytes:
        """The picture as a file."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=110)
        return buffer.getvalue()


@dataclass(frozen=True)
class Report:
    """The result of one check.

    Args:
        check: its name.
        headline: what was seen, in one sentence.
        findings: what is wrong; none where all is fine.
        numbers: the evidence by name.
        tables: more of it.
        pictures: where people would rather look than read.
        refutes: faults that cannot be there, given what this check saw.
        applies: False where the check could say nothing; the headline says why.
        unjudged: what else it could not judge, though it judged something, each with the reason.
        seconds: that it took.
    """

    check: str
    headline: str
    findings: tuple[Finding, ...] = ()
    numbers: Mapping[str, Cell] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    pictures: tuple[Plot, ...] = ()
    refutes: tuple[str, ...] = ()
    applies: bool = True
    unjudged: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def verdict(self) -> Verdict:
        """The worst of what was found."""
        if not self.applies:
            return "not applicable"
        found = {finding.verdict for finding in self.findings}
        return "fault" if "fault" in found else "suspect" if found else "fine"


def not_applicable(check: str, why: str) -> Report:
    """The report of a check that can say nothing here."""
    return Report(check, why, applies=False)
