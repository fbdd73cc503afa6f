"""What a part of the bench found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Part:
    """Checks that were made, those that failed, and figures.

    Args:
        name: as on the command line.
        title: what was done, for the page.
    """

    name: str
    title: str
    checks: int = 0
    failures: list[str] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def check(self, what: str, held: bool, why: str = "") -> bool:
        """Count one check; `why` is kept where it failed."""
        self.checks += 1
        if not held:
            self.failures.append(f"{what}: {why}" if why else what)
        return held

    def as_data(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "title": self.title,
            "checks": self.checks,
            "failed": len(self.failures),
            "failures": self.failures,
            "numbers": self.numbers,
            "seconds": round(self.seconds, 1),
        }
