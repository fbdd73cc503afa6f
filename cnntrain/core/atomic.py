"""Files that are either the old ones or the new ones, whatever happens while they are written.

The order is: write a temporary file in the same folder, flush, fsync, rename over the old one,
fsync the folder. Without the first fsync a power cut can leave a renamed but empty file; without
the second the rename itself can be lost (Pillai et al., OSDI 2014).
"""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from cnntrain.core.errors import DiskError
from cnntrain.core.interrupts import interrupt_behind
from cnntrain.core.units import byte_size

_SPARE = 1 << 20
"""Bytes asked for beyond the content: what the file system itself needs, and the run's records."""

_UNHARMED = "free some space or choose another place with --out; the old file is unharmed"


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors about `path` into a DiskError that names the file."""
    try:
        yield
    except OSError as error:
        raise DiskError(
            f"cannot write {path}: {error.strerror or error}",
            remedy="free some space, make the folder writable, or choose another place with --out",
        ) from error


def write_atomically(
    path: Path,
    write: Callable[[BinaryIO], object],
    *,
    needed: int,
    before_replace: Callable[[Path], None] | None = None,
    mark: str = "",
) -> None:
    """Replace a file as a whole; the folder must exist.

    Args:
        path: the file.
        write: writes the content to an open file.
        needed: bytes that the content takes, roughly, 0 if unknown; refused at once where they,
            and a reserve of 1 MB for the file system, are not free.
        before_replace: called with the finished temporary file just before it takes its name.
        mark: part of the temporary file's name, for files that several processes may write.

    Raises:
        DiskError: no space, no permission, an I/O error; the old file is as it was.
    """
    temporary = path.with_name(f"{path.name}{mark}.tmp")
    before = sys.exception()
    try:
        check_space(path, needed)
        with temporary.open("wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if before_replace is not None:
            before_replace(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    except BaseException as error:
        with suppress(OSError):  # the error that brought us here is the one to report
            temporary.unlink(missing_ok=True)
        interrupt = interrupt_behind(error, before=before)  # torch's writer hides it
        if interrupt is not None:
            raise interrupt from None
        if not isinstance(error, OSError):
            raise
        wanted = f"{byte_size(needed)} needed, " if needed else ""
        raise DiskError(
            f"cannot write {path}: {error.strerror or error} ({wanted}{_free(path.parent)} free)",
            remedy=_UNHARMED,
        ) from error


def write_output(
    path: Path,
    content: bytes | Callable[[BinaryIO], object],
    *,
    before_replace: Callable[[Path], None] | None = None,
) -> None:
    """Write a file that the user has named, as a whole; its folder must exist.

    A link is followed. A device or a pipe, which cannot be replaced, is written to as it is.

    Args:
        path: the file; an existing one is overwritten.
        content: of it, or what writes that to an open file.
        before_replace: as for `write_atomically`; not called for a device or a pipe.

    Raises:
        DiskError: it could not be written; an old file is as it was.
    """
    needed = len(content) if isinstance(content, bytes) else 0

    def write(file: BinaryIO) -> None:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)

    if path.exists() and not path.is_file() and not path.is_dir():
        with disk_errors(path), path.open("wb") as file:
            write(file)
        return
    target = path.resolve() if path.is_symlink() else path
    # another process may write the same file, or the user have one of the temporary file's name
    mark = f".{os.getpid()}"
    write_atomically(target, write, needed=needed, before_replace=before_replace, mark=mark)
    _remove_drafts(target)


def _remove_drafts(path: Path) -> None:
    """Remove the unfinished files of processes that were killed while they wrote this one."""
    if os.name == "nt":  # which has no harmless signal
        return
    for draft in path.parent.glob(f"{glob.escape(path.name)}.*.tmp"):
        number = draft.name.removeprefix(f"{path.name}.").removesuffix(".tmp")
        if number.isdecimal() and not _is_running(int(number)):
            with suppress(OSError):
                draft.unlink()


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # of another user, or no number of a process
        return True
    return True


def write_text_atomically(path: Path, text: str) -> None:
    """Write a UTF-8 text file as a whole; raises DiskError."""
    content = text.encode()
    write_atomically(path, lambda file: file.write(content), needed=len(content))


def set_folder_aside(path: Path) -> Path | None:
    """Give a folder in the place of a file the first free name after it: nothing is deleted.

    Returns:
        Its new path; None if there is no folder.
    """
    if not path.is_dir():
        return None
    names = (path.with_name(f"{path.name}.folder{number or ''}") for number in range(1000))
    with disk_errors(path):
        return path.rename(next(name for name in names if not name.exists()))


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable (a no-op where folders cannot be opened: Windows)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def check_space(path: Path, needed: int) -> None:
    """Raise a DiskError where `needed` bytes and a reserve are not free in the path's folder."""
    free = shutil.disk_usage(path.parent).free
    if free < needed + _SPARE:
        wanted = f"{byte_size(needed)} and " if needed else ""
        message = (
            f"no space for {path}: {wanted}a reserve of {byte_size(_SPARE)} for the file system "
            f"needed, {byte_size(free)} free"
        )
        raise DiskError(message, remedy=_UNHARMED)


def _free(folder: Path) -> str:
    try:
        return byte_size(shutil.disk_usage(folder).free)
    except OSError:
        return "unknown"
