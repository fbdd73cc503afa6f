"""The folder of a run: where each file of it lies, how it is made, and its lock."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cnntrain.core.atomic import disk_errors, set_folder_aside, write_text_atomically
from cnntrain.core.errors import CheckpointError, CnntrainError, UsageError
from cnntrain.core.stderr import say
from cnntrain.record.json_text import json_text
from cnntrain.runs.lock import run_lock

RUN_PATTERN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
WAIT = 60.0
"""Seconds for which a process that begins a run waits for others that begin one of its name."""
_NAME = re.compile(r"[^/\\:*?\"<>|\x00-\x1f]+")


class _Part:
    """A file or folder of a run, whether or not it exists yet: its path, by its name there."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, run: RunFolder, _owner: type[RunFolder]) -> Path:
        return run.path / self.name


@dataclass(frozen=True)
class RunFolder:
    """One run's folder, and where its files are."""

    path: Path

    config = _Part("config.yaml")
    """The resolved configuration."""
    config_input = _Part("config.input.yaml")
    """The run file as it was given."""
    overrides = _Part("overrides.txt")
    """The overrides of the command line, one a line."""
    plan_json = _Part("plan.json")
    """The plan of the network, for programs."""
    plan_text = _Part("plan.txt")
    """The plan of the network, for people."""
    weights = _Part("weights.json")
    """What happened to the weights that the run started from."""
    environment = _Part("environment.json")
    """Versions, machine, command."""
    classes = _Part("classes.txt")
    """The class names, one a line, in the order of the outputs."""
    plugins = _Part("plugins")
    """The folder of copies of the run's plugins; absent if there are none."""
    plugin_hashes = _Part("plugins/sha256.txt")
    """Their hashes when they were last used, one a line before the name in config.yaml."""
    left_out = _Part("left_out.txt")
    """The image files that are not used, one a line, each with the reason."""
    split = _Part("split.csv")
    """Path, class and split of each image, where images were held out."""
    metrics_jsonl = _Part("metrics.jsonl")
    """One JSON object a report, an epoch, an evaluation."""
    metrics_csv = _Part("metrics.csv")
    """One row per epoch."""
    log = _Part("train.log")
    """The log, with the tracebacks that the terminal is spared."""
    summary = _Part("summary.json")
    """The final figures."""
    tensorboard = _Part("tb")
    """TensorBoard's event files, one sub-folder a split."""
    checkpoints = _Part("checkpoints")
    """The folder of the three checkpoints below."""
    last = _Part("checkpoints/last.pt")
    """The newest checkpoint."""
    previous = _Part("checkpoints/previous.pt")
    """The checkpoint before the newest."""
    best = _Part("checkpoints/best.pt")
    """The checkpoint of the lowest validation error."""
    stages = _Part("pretrain")
    """The folder of the runs of its stages of pre-training; absent if it has none."""

    @property
    def has_stages(self) -> bool:
        """Whether a stage of pre-training has a checkpoint."""
        return any(self.stages.glob("*/checkpoints/*.pt"))

    def make(self) -> None:
        """Make the folder and the one of its checkpoints; DiskError if that is impossible."""
        with disk_errors(self.path):
            self.checkpoints.mkdir(parents=True, exist_ok=True)

    def write_text(self, path: Path, text: str) -> None:
        """Write a small file of the run at once or not at all; DiskError if it cannot be."""
        write_text_atomically(path, text if text.endswith("\n") or not text else text + "\n")

    def write_json(self, path: Path, value: Mapping[str, object]) -> None:
        """Write a mapping as indented JSON (NaN becomes null)."""
        self.write_text(path, json_text(value, indent=2))

    def is_empty(self) -> bool:
        """Whether nothing is there but what a process leaves that is killed as it makes a run."""
        if not self.path.is_dir():
            return not self.path.exists()
        found = {child for child in self.path.iterdir() if child.suffix != ".tmp"}
        inside = [child.suffix for child in self.checkpoints.glob("*")]
        return found <= {self.checkpoints, self.path / "lock"} and set(inside) <= {".tmp"}

    def remove_drafts(self) -> None:
        """Remove the unfinished files of a process that was killed; only under the lock."""
        for folder in (self.path, self.checkpoints):
            for draft in folder.glob("*.tmp"):
                draft.unlink(missing_ok=True)

    def set_folders_aside(self) -> list[str]:
        """Rename folders that lie in the places of files, which nothing could be written to.

        Returns:
            What to say of each.
        """
        files = [part for part in vars(RunFolder).values() if isinstance(part, _Part)]
        found = [self.path / file.name for file in files if "." in Path(file.name).name]
        renamed = {path: set_folder_aside(path) for path in found}
        return [
            f"{path} was a folder, and is {new.name} now"
            for path, new in renamed.items()
            if new is not None
        ]

    def refuse_links(self) -> None:
        """Refuse to write into a folder with a link in it, which another person may have set.

        Raises:
            CheckpointError: there is one.
        """
        link = next((path for path in self.path.rglob("*") if path.is_symlink()), None)
        if link is not None:
            raise CheckpointError(
                f"{link} is a link, and a run is only written where it lies",
                remedy="put what it leads to in its place, if it is yours",
            )

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
    """Make a new run folder; `latest` points to it when it has a checkpoint (`point_latest`).

    Args:
        root: the folder of all runs.
        name: the run's name; the folder is `root/name/<time>-<4 hex digits>`.
        out: an exact folder instead of that one; must be new or empty.
        now: the clock (for tests).

    Raises:
        UsageError: `out` is in use, or the name cannot name a folder.
        DiskError: the folder cannot be made.
    """
    run = RunFolder(create_folder(root=root, name=name, out=out, now=now))
    run.make()
    return run


def create_folder(
    *,
    root: Path,
    name: str,
    out: Path | None = None,
    suffix: str = "",
    now: Callable[[], datetime] = datetime.now,
) -> Path:
    """Make a new folder, as `create_run` does; `suffix` follows the time and the digits."""
    if out is not None:
        return _create_exact(out)
    parent = _folder_of_name(root, name)
    while True:
        path = parent / f"{now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}{suffix}"
        with disk_errors(path):
            try:
                path.mkdir()
            except FileExistsError:
                continue
        return path


def _folder_of_name(root: Path, name: str) -> Path:
    if not _NAME.fullmatch(name) or name.strip(". ") == "" or RUN_PATTERN.fullmatch(name):
        raise UsageError(
            f"a run cannot be named {name!r}", remedy="use letters, digits, '-', '_' and '.'"
        )
    parent = root / name
    with disk_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
    return parent


def _create_exact(out: Path) -> Path:
    if out.exists() and not out.is_dir():
        raise UsageError(f"--out {out} is a file", remedy="name a new or an empty folder")
    with disk_errors(out):
        out.mkdir(parents=True, exist_ok=True)
        if not RunFolder(out).is_empty():
            raise UsageError(
                f"--out {out} is not empty, and a run is never overwritten",
                remedy=f"name a new folder, or continue that run with --resume {out}",
            )
    return out


@contextmanager
def removed_unless_begun(run: RunFolder) -> Iterator[None]:
    """A folder of a run that ends before its first checkpoint is removed again.

    It is said where a signal ended it: the folder may have been announced.
    """
    try:
        yield
    except (CnntrainError, KeyboardInterrupt) as error:
        if not run.last.is_file() and not run.has_stages:
            shutil.rmtree(run.path, ignore_errors=True)
            if isinstance(error, KeyboardInterrupt):
                say(f"nothing was saved yet, so {run.path} is removed")
        raise


def point_latest(run: RunFolder) -> None:
    """Swap the `latest` of a run's name in one rename; no-op for a run in a place of its own.

    It is a link, or a text file where links cannot be made.
    """
    parent, target = run.path.parent, run.path.name
    if not RUN_PATTERN.fullmatch(target):
        return
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


def begin_lock(*, root: Path, name: str) -> AbstractContextManager[None]:
    """The lock to hold while a run's folder is looked for in the folder of its name, or made.

    Of two processes that begin the same run at once, one makes the folder and the other finds it.
    For the arguments and errors see `create_run`.
    """
    path = _folder_of_name(root, name) / ".lock"
    return run_lock(path, wait=WAIT, doing="beginning a run")
