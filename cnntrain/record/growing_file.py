"""A file that a run only appends to, and that may fail without the run failing."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from io import FileIO
from pathlib import Path

KEPT = 16 << 20
"""Bytes kept for a disk that is full; more are lost."""


class GrowingFile:
    """A file of records (lines, events): none is ever torn, and a failure is caught up with.

    What cannot be written (a full disk, a network file system that is away) waits in memory, up to
    16 MB, and goes first when the next record can be written. A file that was deleted or replaced
    meanwhile is begun again; what it held is lost. Nothing here raises an OSError: see `trouble`.

    Args:
        path: the file; opened for the first record.
        head: what an empty file begins with.
    """

    def __init__(self, path: Path, *, head: bytes = b"") -> None:
        self.trouble = ""
        """Why something is missing in the file by now; empty where nothing is."""
        self.head = head
        self.path = path
        self._file: FileIO | None = None
        self._is_watched = False
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._is_partly_written = False
        self._lost = ""
        self._is_given_up = False

    def give_up(self, reason: str) -> None:
        """Write nothing any more."""
        self.trouble = reason
        self._is_given_up = True

    def add(self, record: bytes) -> None:
        """Append a record, now or when that is possible again."""
        if self._is_given_up:
            return
        self._waiting.append(record)
        self._waiting_bytes += len(record)
        self.catch_up()
        while self._waiting_bytes > KEPT and len(self._waiting) > 1:
            self._waiting_bytes -= len(self._waiting.pop())
            self._lost = self.trouble

    def catch_up(self) -> None:
        """Write what waits, if that is possible again."""
        try:
            self._write()
            self.trouble = self._lost
        except OSError as error:
            self.trouble = error.strerror or str(error)

    def close(self) -> None:
        """Write what waits, if possible, and close the file."""
        if self._waiting:
            self.catch_up()
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None  # the next record opens it again

    def _write(self) -> None:
        file = self._file
        if file is None or (self._is_watched and not self._is_at_its_path(file)):
            file = self._open()
        while self._waiting:
            record = self._waiting[0]
            written = file.write(record) or 0
            self._waiting_bytes -= written
            self._is_partly_written = written < len(record)
            if self._is_partly_written:
                self._waiting[0] = record[written:]
            else:
                self._waiting.popleft()

    def _open(self) -> FileIO:
        file = self.path.open("ab", buffering=0)
        if self._file is not None:
            self._file.close()
            self._lost = "it was deleted or replaced while the run wrote to it"
            if self._is_partly_written:  # its beginning is gone
                self._waiting_bytes -= len(self._waiting.popleft())
                self._is_partly_written = False
        self._file = file
        self._is_watched = self._is_at_its_path(file)  # a device or a pipe may not be
        if self.head and os.fstat(file.fileno()).st_size == 0:
            self._waiting.appendleft(self.head)
            self._waiting_bytes += len(self.head)
        return file

    def _is_at_its_path(self, file: FileIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self.path.stat())
        except FileNotFoundError:
            return False
