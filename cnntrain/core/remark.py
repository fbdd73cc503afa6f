"""What can be obeyed, but can hardly be meant: found without training, by looking and reckoning.

`cnntrain check` prints remarks as notes, and the doctor words them as findings.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cnntrain.core.problems import Place

SHORT = 60
"""Characters of an override up to which it stands in a line of text."""


@dataclass(frozen=True)
class Remark:
    """One of them.

    Args:
        fault: its code, one of `cnntrain.diagnose.faults`.
        headline: what is wrong, with the layer or the key and the most telling number.
        evidence: the numbers it rests on, in a sentence.
        remedy: what to do next.
        is_certain: no right run file has it; else it is a suspicion.
        overrides: the remedy as what follows `-s`, where changes of the run file mend it.
        follows: faults that explain it, where they are found.
    """

    fault: str
    headline: str
    evidence: str
    remedy: str
    is_certain: bool = True
    overrides: tuple[str, ...] = ()
    follows: tuple[str, ...] = ()

    def __str__(self) -> str:
        short = [override for override in self.overrides if len(override) <= SHORT]
        flags = as_flags(short)
        remedy = f"{self.remedy}, such as {flags}" if flags else self.remedy
        return f"{self.headline}: {self.evidence}; {remedy}"


def as_flags(overrides: Iterable[str]) -> str:
    """Overrides as they are typed."""
    return " ".join(f"-s {shlex.quote(override)}" for override in overrides)


def at_line(place: Place | None) -> str:
    """` (net.yaml:12)`, behind the name of what stands there; nothing without a file."""
    if place is None or place.file.startswith("<"):
        return ""
    return f" ({Path(place.file).name}:{place.line})"
