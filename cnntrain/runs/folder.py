"""The folder of a run: where each file of it lies, and how it is made."""

from __future__ import annotations

import json
import os
import re
import secrets
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cnntrain.core.atomic import disk_errors, write_text_atomically
from cnntrain.core.errors import UsageError
from cnntrain.record.json_text import json_text
from cnntrain.runs.lock import run_lock

RUN_PATTERN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_NAME = re.compile(r"[^/\\:*?\"<>|\x00-\x1f]+")


@dataclass(frozen=True)
class RunFolder:
    """One run's folder; the properties name its files, whether or not they exist yet."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.yaml"

    @property
    def config_input(self) -> Path:
        """The run file as it was given."""
        return self.path / "config.input.yaml"

    @property
    def overrides(self) -> Path:
        """The overrides of the command line, one a line."""
        return self.path / "overrides.txt"

    @property
    def plan_json(self) -> Path:
        """The plan of the network, for programs."""
        return self.path / "plan.json"

    @property
    def plan_text(self) -> Path:
        """The plan of the network, for people."""
        return self.path / "plan.txt"

    @property
    def weights(self) -> Path:
        """What became of the weights that the run started from."""
        return self.path / "weights.json"

    @property
    def environment(self) -> Path:
        """Versions, machine, command."""
        return self.path / "environment.json"

    @property
    def classes(self) -> Path:
        """The class names, one a line, in the order of the outputs."""
        return self.path / "classes.txt"

    @property
    def metrics_jsonl(self) -> Path:
        """One JSON object a report, an epoch, an evaluation."""
        return self.path / "metrics.jsonl"

    @property
    def metrics_csv(self) -> Path:
        """One row an epoch."""
        return self.path / "metrics.csv"

    @property
    def log(self) -> Path:
        """The log, with the tracebacks that the terminal is spared."""
        return self.path / "train.log"

    @property
    def summary(self) -> Path:
        """The final figures."""
        return self.path / "summary.json"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files, one sub-folder a split."""
        return self.path / "tb"

    @property
    def checkpoints(self) -> Path:
        """The folder of last.pt, previous.pt and best.pt."""
        return self.path / "checkpoints"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.checkpoints / "last.pt"

    @property
    def previous(self) -> Path:
        """The checkpoint before the newest."""
        return self.checkpoints / "previous.pt"

    @property
    def best(self) -> Path:
        """The checkpoint of the lowest validation error."""
        return self.checkpoints / "best.pt"

    def write_text(self, path: Path, text: str) -> None:
        """Write a small file of the run at once or not at all; DiskError if it cannot be."""
        write_text_atomically(path, text if text.endswith("\n") or not text else text + "\n")

    def write_json(self, path: Path, value: Mapping[str, object]) -> None:
        """Write a mapping as indented JSON (NaN becomes null)."""
        self.write_text(path, json_text(value, indent=2))

    def evaluations(self, split: str) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl that are evaluations of a split, in order."""
        lines = self.metrics_jsonl.read_text("utf-8").split("\n")[:-1]
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if row["type"] == "evaluation" and row["split"] == split]

    def lock(self) -> AbstractContextManager[None]:
        """The lock to hold while training here: `with run.lock(): ...`."""
        return run_lock(self.path / "lock")


def create_run(
    *,
    root: Path,
    name: str,
    out: Path | None = None,
    now: Callable[[], datetime] = datetime.now,
) -> RunFolder:
    """Make a new run folder, and point `latest` to it.

    Args:
        root: the folder of all runs.
        name: the run's name; the folder is `root/name/<time>-<4 hex digits>`.
        out: an exact folder instead of that one; must be new or empty, and gets no `latest`.
        now: the clock (for tests).

    Raises:
        UsageError: `out` is in use, or the name cannot name a folder.
        DiskError: the folder cannot be made.
    """
    run = RunFolder(create_folder(root=root, name=name, out=out, now=now))
    with disk_errors(run.path):
        run.checkpoints.mkdir()
    if out is None:
        _point_latest(run.path.parent, run.path.name)
    return run


def create_folder(
    *,
    root: Path,
    name: str,
    out: Path | None = None,
    suffix: str = "",
    now: Callable[[], datetime] = datetime.now,
) -> Path:
    """Make a new folder; see `create_run`.

    Args:
        root: the folder of all runs.
        name: of the run.
        out: an exact folder.
        suffix: what follows the time and the digits.
        now: the clock (for tests).
    """
    if out is not None:
        return _create_exact(out)
    if not _NAME.fullmatch(name) or name.strip(". ") == "" or RUN_PATTERN.fullmatch(name):
        raise UsageError(
            f"a run cannot be named {name!r}", remedy="use letters, digits, '-', '_' and '.'"
        )
    parent = root / name
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
    while True:
        path = parent / f"{now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}{suffix}"
        with disk_errors(path):
            try:
                path.mkdir()
            except FileExistsError:
                continue
        return path


def _create_exact(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file", remedy="name a new or an empty folder")
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if any(out.iterdir()):
            raise UsageError(
                f"--out {out} is not empty, and a run is never overwritten",
                remedy=f"name a new folder, or continue that run with --resume {out}",
            )
    return out


def _point_latest(parent: Path, target: str) -> None:
    """Swap `latest` in one rename: a link, or a text file where links cannot be made."""
    draft = parent / f".latest.{secrets.token_hex(4)}"
    with disk_errors(parent / "latest"):
        try:
            try:
                os.symlink(target, draft, target_is_directory=True)  # noqa: PTH211 (tests replace it)
            except (OSError, NotImplementedError):
                draft.write_text(target + "\n", encoding="utf-8")
            draft.replace(parent / "latest")
        finally:
            draft.unlink(missing_ok=True)
