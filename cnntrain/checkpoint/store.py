"""The one place that writes and reads checkpoints: atomic, verified, without code inside.

A checkpoint is torch's zip file of plain values and tensors. It is looked at before torch reads it
(see `cnntrain.checkpoint.archive`), unpickled with `weights_only=True` only, and what came out is
compared with the digest of what was saved.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from cnntrain.checkpoint.archive import REMEDY, damage
from cnntrain.checkpoint.digest import digest
from cnntrain.checkpoint.primitives import State, check_primitives, compact, size_in_bytes
from cnntrain.checkpoint.torch_files import read_torch_file
from cnntrain.core.atomic import set_folder_aside, write_atomically
from cnntrain.core.errors import CheckpointError

FORMAT = 1
"""Version of the layout; raised when an older cnntrain could not read what a newer one writes."""

LAST = "last.pt"
PREVIOUS = "previous.pt"

_MARK = "cnntrain_checkpoint"
_DIGEST = "digest"
"""Of all else in the file; checkpoints of before it have none."""


@dataclass(frozen=True)
class StoredCheckpoint:
    """A checkpoint that was read.

    Args:
        path: its file.
        state: its content.
        skipped: why newer ones were not used, one sentence each; empty when the newest was.
    """

    path: Path
    state: State
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True)
class Stamp:
    """Which file this is, and since when: what has the same stamp was not written to."""

    device: int
    number: int
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> Stamp:
        """That of a file."""
        found = path.stat()
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def save(
    path: Path,
    state: State,
    *,
    also: Path | None = None,
    previous: Path | None = None,
    intact: Stamp | None = None,
    is_abandoned: Callable[[], bool] = lambda: False,
) -> Stamp:
    """Write a checkpoint, verified before it replaces the old one.

    A folder that lies in the place of a file is given another name.

    Args:
        path: the file; its folder must exist.
        state: plain values and tensors, on any device.
        also: a second name for it, which it has before the first; where the file system has no
            links, a copy.
        previous: keep the checkpoint that `path` was (if it is intact) under this name; there is no
            moment at which neither can be loaded.
        intact: of a file that is known to be intact; if `path` is that one, it is not read again.
        is_abandoned: asked again and again while the file is written.

    Returns:
        The stamp of the new file, which was read back and is intact.

    Raises:
        TypeError: a value that is neither plain nor a tensor; names the path of keys to it.
        DiskError: not written, or abandoned; the old files are as they were.
    """
    check_primitives(state)
    content = compact({_MARK: FORMAT, **state})
    assert isinstance(content, dict)
    content[_DIGEST] = digest(content)

    def write(opened: BinaryIO) -> None:
        file: Any = _Abandonable(opened, is_abandoned)
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's zip writer hides the OSError of a full disk
            raise OSError(f"torch.save failed: {error}") from error

    def name(temporary: Path) -> None:
        problem = damage(temporary)
        if problem is not None:
            raise OSError(f"what was written reads back wrong: {problem.cause}")
        if also is not None:
            set_folder_aside(also)
            if not _give_second_name(temporary, also):
                _copy(temporary, also)
        set_folder_aside(path)
        if previous is not None and path.exists() and _is_intact(path, intact):
            set_folder_aside(previous)
            if not _give_second_name(path, previous):
                # Until the new file takes its place, `path` is missing and `previous` is the
                # newest: load_newest looks at both.
                path.replace(previous)

    write_atomically(path, write, needed=size_in_bytes(content), before_replace=name)
    return Stamp.of(path)


class _Abandonable:
    """A file that cannot be written to any more once it is abandoned."""

    def __init__(self, file: BinaryIO, is_abandoned: Callable[[], bool]) -> None:
        self.flush = file.flush
        self._write = file.write
        self._is_abandoned = is_abandoned

    def write(self, content: bytes) -> int:
        """Write it, all of it or nothing."""
        if self._is_abandoned():
            raise OSError("abandoned")
        return self._write(content)


def _is_intact(path: Path, known: Stamp | None) -> bool:
    return Stamp.of(path) == known or damage(path) is None


def load(path: Path) -> State:
    """Read a checkpoint of cnntrain; tensors on the CPU.

    Raises:
        CheckpointError: missing, damaged, not a checkpoint, or of a newer cnntrain.
    """
    state = read_torch_file(path)
    if _MARK not in state:
        raise CheckpointError(
            f"{path} is a torch file but not a checkpoint of cnntrain",
            remedy="weights of other programs are loaded as weights, not resumed",
        )
    version = state.pop(_MARK)
    if not isinstance(version, int) or version > FORMAT:
        message = f"{path} has format {version}, this cnntrain reads up to {FORMAT}"
        raise CheckpointError(message, remedy="update cnntrain")
    saved = state.pop(_DIGEST, None)
    if saved is not None and saved != _digest_of({_MARK: version, **state}):
        message = f"{path} is damaged: its contents are not those that were saved"
        raise CheckpointError(message, remedy=REMEDY)
    return state


def _digest_of(state: State) -> str | None:
    """None: it holds what no checkpoint of ours does."""
    try:
        return digest(state)
    except ValueError:
        return None


def load_newest(folder: Path) -> StoredCheckpoint:
    """Read the last checkpoint in a folder, or else the one before it.

    Raises:
        CheckpointError: neither is intact; says why, for each.
    """
    skipped: list[str] = []
    for name in (LAST, PREVIOUS):
        path = folder / name
        try:
            return StoredCheckpoint(path, load(path), tuple(skipped))
        except CheckpointError as error:
            skipped.append(error.problems[0].message)
    message = f"no checkpoint to load in {folder}: {'; '.join(skipped)}"
    raise CheckpointError(message, remedy="name a checkpoint file, or start a new run")


def holds_checkpoint(state: Mapping[Any, object]) -> bool:
    """Whether what was read from a file is a checkpoint of cnntrain."""
    return _MARK in state


def _give_second_name(path: Path, name: Path) -> bool:
    """`name` becomes what `path` is, while `path` stays; False where there are no hard links.

    So it is on FAT and on some network shares.
    """
    second = name.with_name(f"{name.name}.tmp")
    second.unlink(missing_ok=True)
    try:
        os.link(path, second)
    except OSError:
        return False
    second.replace(name)
    second.unlink(missing_ok=True)  # a rename does nothing where both are names of one file
    return True


def _copy(path: Path, copy: Path) -> None:
    with path.open("rb") as source:
        write_atomically(
            copy, lambda file: shutil.copyfileobj(source, file), needed=path.stat().st_size
        )
