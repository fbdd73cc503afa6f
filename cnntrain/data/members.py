"""Images inside of tar files, read where they lie: nothing is unpacked. Imports no torch."""

from __future__ import annotations

import io
import os
from functools import lru_cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

_OPEN = 64
"""Tar files that a process keeps open; of more, the one that was read longest ago is closed."""

if TYPE_CHECKING:
    _Path = Path
else:
    _Path = type(Path())  # before Python 3.12 a Path itself has no kinds of the user's own


class Member(_Path):
    """A file inside of a tar file, called `SHARD.tar/NAME`.

    It is a path, because all that names, measures or opens an image's file does so with a path.

    Args:
        shard: the tar file.
        start: where its content begins there, in bytes.
        size: of its content, in bytes.
    """

    shard: str
    name_inside: str
    start: int
    size: int

    @classmethod
    def of(cls, entry: str) -> Member:
        """From the text that `entry` gives."""
        shard, name, start, size = entry.split("\0")
        member = cls(shard, name)
        member.shard, member.name_inside = shard, name
        member.start, member.size = int(start), int(size)
        return member

    @property
    def entry(self) -> str:
        """All of it as text: with NULs, which no path has."""
        return f"{self.shard}\0{self.name_inside}\0{self.start}\0{self.size}"

    def __reduce__(self) -> tuple[Any, ...]:
        return Member.of, (self.entry,)

    @property
    def parent(self) -> Path:  # type: ignore[override]
        """A path for showing it, as that of `absolute`."""
        return Path(str(self)).parent

    def absolute(self) -> Path:  # type: ignore[override]
        """For showing it: what is read there is not a file of its own."""
        return Path(self.shard).absolute() / self.name_inside

    def stat(self, *, follow_symlinks: bool = True) -> os.stat_result:
        """That of the tar file, with the size of this member."""
        found = os.stat(self.shard, follow_symlinks=follow_symlinks)  # noqa: PTH116
        times = {"st_mtime_ns": found.st_mtime_ns}
        return os.stat_result((*found[:6], self.size, *found[7:]), times)

    def open(self, mode: str = "rb", *_: Any) -> BinaryIO:  # type: ignore[override]
        """Its content, of which only as much is read as is asked for."""
        assert mode == "rb", "a member is only read"
        return cast(BinaryIO, io.BufferedReader(_Slice(self)))

    def read_bytes(self) -> bytes:
        """All of its content; less, where the tar file has become shorter."""
        return _read_at(self.shard, self.start, self.size)


def opened_for_pillow(path: Path) -> Path | IO[bytes]:
    """What Pillow is to open: a file by its path, so that it closes it, a member as it is read."""
    return path.open() if isinstance(path, Member) else path


class _Slice(io.RawIOBase):
    def __init__(self, member: Member) -> None:
        self._member = member
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._member.size}[whence]
        if base + offset < 0:
            raise OSError("a place before the beginning")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        content = self._read(len(buffer))
        buffer[: len(content)] = content
        return len(content)

    def readall(self) -> bytes:
        return self._read(self._member.size)

    def _read(self, most: int) -> bytes:
        member = self._member
        count = max(0, min(most, member.size - self._at))
        content = _read_at(member.shard, member.start + self._at, count)
        self._at += len(content)
        return content


class _Open:
    """A descriptor that is closed when nobody reads from it any more."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __del__(self) -> None:
        os.close(self.descriptor)


@lru_cache(maxsize=_OPEN)
def _opened(shard: str) -> _Open:
    return _Open(os.open(shard, os.O_RDONLY))


def forget_open_files() -> None:
    """Open tar files again when they are read next: they may have been replaced."""
    _opened.cache_clear()


def _read_at(shard: str, start: int, size: int) -> bytes:
    """From any thread or process: nobody moves a place that others read from."""
    if not hasattr(os, "pread"):  # Windows
        with Path(shard).open("rb") as file:
            file.seek(start)
            return file.read(size)
    opened = _opened(shard)  # kept until it is read: another thread may push it out meanwhile
    return os.pread(opened.descriptor, size, start)
