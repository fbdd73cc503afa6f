"""The one place that writes and reads checkpoints: atomic, verified, without code inside.

A checkpoint is torch's zip file of plain values and tensors. torch writes a CRC-32 of every record
but does not look at it when it loads; we do. It is unpickled with `weights_only=True` only.
"""

from __future__ import annotations

import os
import pickle
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import torch

from cnntrain.checkpoint.primitives import State, check_primitives, compact, size_in_bytes
from cnntrain.core.atomic import write_atomically
from cnntrain.core.errors import CheckpointError

FORMAT = 1
"""Version of the layout; raised when an older cnntrain could not read what a newer one writes."""

LAST = "last.pt"
PREVIOUS = "previous.pt"

_MARK = "cnntrain_checkpoint"
_OLD = b"\x80\x02\x8a\x0a"
"""How torch's files of before 2020 begin: a pickled number of ten bytes."""

_REMEDY = "use another copy of it, or another checkpoint of the run, such as previous.pt"
_ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
    OverflowError,
)
_UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
)


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


def save(path: Path, state: State, *, previous: Path | None = None) -> None:
    """Write a checkpoint, verified before it replaces the old one.

    Args:
        path: the file; its folder must exist.
        state: plain values and tensors, on any device.
        previous: keep the checkpoint that `path` was (if it is intact) under this name; there is no
            moment at which neither can be loaded.

    Raises:
        TypeError: a value that is neither plain nor a tensor; names the path of keys to it.
        DiskError: not written; the old files are as they were.
    """
    check_primitives(state)
    content = compact({_MARK: FORMAT, **state})

    def write(file: BinaryIO) -> None:
        try:
            torch.save(content, file)
        except RuntimeError as error:  # torch's zip writer hides the OSError of a full disk
            raise OSError(f"torch.save failed: {error}") from error

    def keep_old(temporary: Path) -> None:
        problem = damage(temporary)
        if problem is not None:
            raise OSError(f"what was written reads back wrong: {problem.cause}")
        if previous is not None and path.exists() and damage(path) is None:
            _give_second_name(path, previous)

    write_atomically(path, write, needed=size_in_bytes(content), before_replace=keep_old)


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
    return state


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


def read_torch_file(path: Path, *, also_old: bool = False) -> State:
    """The dictionary in a torch file (ours or another program's); no code is run.

    Args:
        path: a zip file, whose checksums are verified.
        also_old: take a file of before 2020, too, which has none.

    Raises:
        CheckpointError: see `damage`; or it holds something else than a dictionary of plain values.
    """
    if also_old:
        with path.open("rb") as file:
            if file.read(len(_OLD)) == _OLD:
                return _unpickled(path, "is damaged, or holds more than plain values and tensors")
    problem = damage(path)
    if problem is not None:
        raise CheckpointError(f"{path} {problem.cause}", remedy=problem.remedy)
    return _unpickled(path, "holds more than plain values and tensors")


def holds_checkpoint(state: Mapping[Any, object]) -> bool:
    """Whether what was read from a file is a checkpoint of cnntrain."""
    return _MARK in state


def _unpickled(path: Path, trouble: str) -> State:
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except _UNPICKLING_ERRORS as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{path} {trouble}: {reason[:200]}",
            remedy="such a file can run code when it is read; if you trust its author, take its "
            "state_dict out with torch, and save that",
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error
    if not isinstance(state, dict):
        message = f"{path} holds a {type(state).__name__}, not a dictionary"
        raise CheckpointError(message, remedy=_REMEDY)
    return dict(state)


@dataclass(frozen=True)
class Damage:
    """Why a file cannot be used: `cause` continues a sentence that begins with its name."""

    cause: str
    remedy: str = _REMEDY


def damage(path: Path) -> Damage | None:
    """What is wrong with a checkpoint file, from its bytes alone; None if it is intact."""
    if not path.is_file():
        what = "is a folder, not a file" if path.is_dir() else "does not exist"
        return Damage(what, "name a checkpoint file, or the folder of a run")
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if not head:
            return Damage("is empty")
        if head[:1] == b"\x80":
            return Damage(
                "is a pickle or a torch file of before 2020, which can run code when it is read",
                "have its author save a state_dict with torch >= 1.6",
            )
        if head != b"PK\x03\x04":
            return Damage("is not a checkpoint: it does not begin like a zip file")
        with zipfile.ZipFile(path) as archive:
            return _archive_damage(archive, path.stat().st_size)
    except _ZIP_ERRORS as error:
        return Damage(f"is damaged or cut short ({error})")
    except OSError as error:
        return Damage(f"cannot be read: {error.strerror or error}")


def _archive_damage(archive: zipfile.ZipFile, size: int) -> Damage | None:
    records = archive.infolist()
    names = {record.filename.split("/")[-1] for record in records}
    if "data.pkl" not in names:
        return Damage("is a zip archive, but not one of torch's")
    if "constants.pkl" in names:
        return Damage("is a TorchScript program, not a checkpoint", "save its state_dict instead")
    stored = all(record.compress_type == zipfile.ZIP_STORED for record in records)
    if not stored or sum(record.file_size for record in records) > size:
        return Damage("is damaged: its records do not have the sizes they state")
    broken = archive.testzip()
    return Damage(f"is damaged: the checksum of record '{broken}' is wrong") if broken else None


def _give_second_name(path: Path, previous: Path) -> None:
    """`previous` becomes what `path` is, while `path` stays."""
    second = previous.with_name(f"{previous.name}.tmp")
    second.unlink(missing_ok=True)
    try:
        os.link(path, second)
    except OSError:
        # No hard links here (FAT, some network shares). Until the new file takes its place,
        # `path` is missing and `previous` is the newest: load_newest looks at both.
        path.replace(previous)
        return
    second.replace(previous)
