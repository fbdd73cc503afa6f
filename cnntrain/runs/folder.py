"""The folder of a run: where each file of it lies, how it is made, and its lock."""

from __future__ import annotations

import errno
import json
import os
import re
import secrets
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from cnntrain.core.atomic import disk_errors, write_text_atomically
from cnntrain.core.errors import CheckpointError, CnntrainError, DiskError, UsageError
from cnntrain.record.json_text import json_text

RUN_PATTERN = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
_WITHOUT_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
"""What a file system answers that cannot lock, such as NFS without its lock service."""
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
    """One row an epoch."""
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

    def write_text(self, path: Path, text: str) -> None:
        """Write a small file of the run at once or not at all; DiskError if it cannot be."""
        write_text_atomically(path, text if text.endswith("\n") or not text else text + "\n")

    def write_json(self, path: Path, value: Mapping[str, object]) -> None:
        """Write a mapping as indented JSON (NaN becomes null)."""
        self.write_text(path, json_text(value, indent=2))

    def ending(self) -> dict[str, Any] | None:
        """summary.json of a run that is complete; None where it was stopped or killed."""
        try:
            found = json.loads(self.summary.read_text("utf-8"))
            return found if found["reason"] != "stopped" else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

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

    def evaluations(self, split: str) -> list[dict[str, Any]]:
        """The rows of metrics.jsonl that are evaluations of a split, in order."""
        lines = self.metrics_jsonl.read_text("utf-8").split("\n")[:-1]
        rows = [json.loads(line) for line in lines]
        return [row for row in rows if row["type"] == "evaluation" and row["split"] == split]

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
    again: bool = False,
    now: Callable[[], datetime] = datetime.now,
) -> RunFolder:
    """Make a new run folder; `latest` points to it when it has a checkpoint (`point_latest`).

    Args:
        root: the folder of all runs.
        name: the run's name; the folder is `root/name/<time>-<4 hex digits>`.
        out: an exact folder instead of that one; must be new or empty.
        again: `out` may also be one in which this run was begun, without a checkpoint.
        now: the clock (for tests).

    Raises:
        UsageError: `out` is in use, or the name cannot name a folder.
        DiskError: the folder cannot be made.
    """
    run = RunFolder(out) if again and out is not None else None
    run = run or RunFolder(create_folder(root=root, name=name, out=out, now=now))
    with disk_errors(run.path):
        run.checkpoints.mkdir(parents=again, exist_ok=True)
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
        if not RunFolder(out).is_empty():
            raise UsageError(
                f"--out {out} is not empty, and a run is never overwritten",
                remedy=f"name a new folder, or continue that run with --resume {out}",
            )
    return out


@contextmanager
def removed_unless_begun(run: RunFolder) -> Iterator[None]:
    """A folder of a run that is refused before its first checkpoint is removed again."""
    try:
        yield
    except (CnntrainError, KeyboardInterrupt):
        if not run.last.is_file():
            shutil.rmtree(run.path, ignore_errors=True)
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


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the lock file of a run folder while its process trains there.

    The system holds the lock for the process, not the file: a file that a dead process, or an
    earlier version of cnntrain, has left behind is taken over. The file says who holds it.

    Raises:
        UsageError: another process trains in this folder.
        DiskError: the folder cannot be written to, or its file system has no locks.
    """
    lock = FileLock(path)
    with disk_errors(path):
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise UsageError(
                f"another process{_holder(path)} is training in {path.parent}",
                remedy=f"wait for it or stop it; if none runs any more, delete {path}",
            ) from None
        except OSError as error:
            if error.errno not in _WITHOUT_LOCKS:
                raise
            raise DiskError(
                f"the file system of {path.parent} has no locks ({error.strerror}), so that two "
                "processes could train there at once",
                remedy="choose a local folder with --out, or mount it with locks (NFS: its lock "
                "service, or the option local_lock=all where one machine alone writes there)",
            ) from error
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is held: whoever waits for it sees that it is gone
        lock.release()


def _holder(path: Path) -> str:
    """Who holds the lock, in brackets; nothing where that is not written down yet."""
    try:
        said = path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
    return f" ({said})" if said.startswith("process ") else ""
