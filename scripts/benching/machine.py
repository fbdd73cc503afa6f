"""On what, and next to what, the figures were taken."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGES = ("torch", "torchvision", "pillow", "simplejpeg", "timm", "lightning")


def description() -> dict[str, Any]:
    """Processor, cores, versions."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0,
        "python": platform.python_version(),
        **{name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in text.splitlines() if "model name" in line]
    return names[0] if names else platform.processor()


@dataclass(frozen=True)
class Load:
    """The processors' ticks so far: all, and those in which they were idle."""

    all: int
    idle: int

    @staticmethod
    def now() -> Load | None:
        """None where the system does not say."""
        try:
            first = Path("/proc/stat").read_text().splitlines()[0]
        except OSError:
            return None
        ticks = [int(word) for word in first.split()[1:9]]
        return Load(sum(ticks), ticks[3] + ticks[4])


def others_share(before: Load | None, own_cpu: float) -> float | None:
    """The share of the processors' time since `before` that other processes had.

    Args:
        before: then.
        own_cpu: seconds of this process and its children since then.
    """
    after = Load.now()
    if before is None or after is None or after.all == before.all:
        return None
    busy = (after.all - before.all) - (after.idle - before.idle)
    own = own_cpu * os.sysconf("SC_CLK_TCK")
    return max(0.0, busy - own) / (after.all - before.all)


def today() -> str:
    """The date, in UTC."""
    return time.strftime("%Y-%m-%d", time.gmtime())
