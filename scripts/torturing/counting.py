"""The operations of a process that change files, counted from outside; see `counting.c`.

A small library that is loaded before the C library (`LD_PRELOAD`) counts them, so those of torch's
C++ are among them. Nothing here imports torch.
"""

from __future__ import annotations

import ctypes
import mmap
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_name("counting.c")
SIZE, WHAT, KINDS = 1 << 16, 8, 512
"""Of the memory that a command shares with the bench, and where in it things lie; see `SOURCE`."""


def compiled(folder: Path) -> Path | None:
    """The library; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    library = folder / "counting.so"
    words = (compiler, "-O2", "-shared", "-fPIC", "-o", library, SOURCE, "-ldl")
    subprocess.run(words, check=True)
    return library


class Counting:
    """What a forked command has counted; it is there when the command is dead."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, SIZE)
        self._address = ctypes.addressof(ctypes.c_char.from_buffer(self._memory))
        self._library = ctypes.CDLL(None)
        if self.is_there:
            arm = self._library.torture_arm
            arm.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p]

    @property
    def is_there(self) -> bool:
        """Whether the library was loaded."""
        return hasattr(self._library, "torture_arm")

    def arm(self, number: int, *, torn: bool = False) -> None:
        """In the new process: die before an operation, or in the middle of it; 0: only count."""
        self._library.torture_arm(number, torn, self._address)

    def total(self) -> int:
        """How many operations there were."""
        return int.from_bytes(self._memory[:WHAT], "little")

    def writes(self) -> list[int]:
        """The numbers of those that can be torn."""
        kinds = self._memory[KINDS : KINDS + self.total() + 1]
        return [number for number, kind in enumerate(kinds) if kind == ord("W")]

    def what(self) -> str:
        """Which operation it died at, and its file."""
        return self._memory[WHAT:KINDS].partition(b"\0")[0].decode()
