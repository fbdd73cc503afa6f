"""What a run ran on: enough to tell, a year later, why two runs differ."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import torch


def describe_environment() -> dict[str, object]:
    """The software, the machine, the command, and the state of the source (git, working folder)."""
    has_cuda = torch.cuda.is_available()
    packages = dict(_packages())
    return {
        "cnntrain": packages.get("cnntrain"),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "torchvision": packages.get("torchvision"),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if has_cuda else None,  # type: ignore[no-untyped-call]
        "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
        "platform": platform.platform(),
        "processor": platform.machine(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "host": socket.gethostname(),
        "time": datetime.now().astimezone().isoformat(timespec="seconds"),
        "argv": sys.argv,
        "working_folder": str(Path.cwd()),
        "git": _git(Path.cwd()),
        "packages": dict(sorted(packages.items())),
    }


def _packages() -> Iterator[tuple[str, str]]:
    """Names and versions of what is installed; `dist.name` would read the whole of each README."""
    for dist in importlib.metadata.distributions():
        text = dist.read_text("METADATA") or dist.read_text("PKG-INFO") or ""
        name, version = (re.search(f"^{key}: *(.+)$", text, re.M) for key in ("Name", "Version"))
        if name is not None and version is not None:
            yield name[1].strip().lower(), version[1].strip()


def _git(folder: Path) -> dict[str, object] | None:
    """The commit, and whether tracked files differ from it; None outside of a checkout."""
    commit = _git_answer(folder, "rev-parse", "HEAD")
    if commit is None:
        return None
    changes = _git_answer(folder, "status", "--porcelain", "--untracked-files=no")
    return {"commit": commit, "dirty": None if changes is None else bool(changes)}


def _git_answer(folder: Path, *words: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", "-C", str(folder), *words],
            capture_output=True,
            text=True,
            timeout=5,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip()
