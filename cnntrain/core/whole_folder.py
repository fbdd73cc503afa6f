"""A folder that is filled as a whole: all of it is there, or nothing; nothing is overwritten."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cnntrain.core.atomic import check_space, disk_errors, sync_folder
from cnntrain.core.errors import UsageError

UNFINISHED = ".cnntrain.tmp"
"""The folder inside of the given one in which everything is until all of it is there."""


def refuse_used(folder: Path, *, option: str) -> None:
    """Raise a UsageError where a folder cannot be filled: it is a file, or something is in it."""
    is_folder = folder.is_dir()
    if os.path.lexists(folder) and not is_folder:
        raise UsageError(f"{option} {folder} is not a folder", remedy="name a new folder")
    if is_folder and any(each.name != UNFINISHED for each in folder.iterdir()):
        message = f"{option} {folder} is not empty, and nothing in it is overwritten"
        raise UsageError(message, remedy="name a new folder, or remove this one")
    if not is_folder and not folder.parent.is_dir():
        raise UsageError(f"there is no folder {folder.parent}", remedy="make it first")


@contextmanager
def filled_whole(folder: Path, *, needed: int) -> Iterator[Path]:
    """A temporary folder; at the end of the block what is in it is moved into `folder`.

    After an error nothing is left of it, and after a kill the temporary folder, which the next one
    removes.

    Args:
        folder: new or empty, see `refuse_used`.
        needed: bytes that it will take.

    Raises:
        DiskError: no space, no permission; also for an OSError of the block.
    """
    is_new, temporary = not folder.exists(), folder / UNFINISHED
    try:
        with disk_errors(folder):
            folder.mkdir(exist_ok=True)
            shutil.rmtree(temporary, ignore_errors=True)
            check_space(temporary, needed)
            temporary.mkdir()
            yield temporary
            if hasattr(os, "sync"):  # not on Windows; one by one would take long
                os.sync()
            for each in sorted(temporary.iterdir()):
                each.rename(folder / each.name)
            temporary.rmdir()
            sync_folder(folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        if is_new:
            with suppress(OSError):
                folder.rmdir()
        raise
