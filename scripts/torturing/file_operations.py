"""SIGKILL at each write, fsync, rename, link and removal of a whole run.

The operations are counted by a small library that is loaded before the C library
(`LD_PRELOAD`), so those of torch's C++ are among them; without a C compiler, this part is left out.
"""

from __future__ import annotations

import ctypes
import random
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from torturing.jobs import Note, differences, write_job
from torturing.part import Part
from torturing.processes import Command, run

JOB = "cosine"
SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static long armed = -1, count = 0; /* armed: kill before that operation; 0: only count */

void torture_arm(long number) { armed = number; count = 0; }
long torture_count(void) { return count; }

static void at(void) {
    if (armed < 0) return;
    if (++count == armed) kill(getpid(), SIGKILL);
}

static void at_file(int fd) { /* a write: to the terminal or a pipe it changes nothing */
    struct stat about;
    if (armed >= 0 && fstat(fd, &about) == 0 && S_ISREG(about.st_mode)) at();
}

#define REAL(name) static __typeof__(&name) real; if (!real) real = dlsym(RTLD_NEXT, #name)

ssize_t write(int fd, const void *b, size_t n) { REAL(write); at_file(fd); return real(fd, b, n); }
ssize_t writev(int fd, const struct iovec *v, int n) {
    REAL(writev); at_file(fd); return real(fd, v, n);
}
ssize_t pwrite(int fd, const void *b, size_t n, off_t o) {
    REAL(pwrite); at_file(fd); return real(fd, b, n, o);
}
int fsync(int fd) { REAL(fsync); at(); return real(fd); }
int ftruncate(int fd, off_t n) { REAL(ftruncate); at(); return real(fd, n); }
int rename(const char *a, const char *b) { REAL(rename); at(); return real(a, b); }
int link(const char *a, const char *b) { REAL(link); at(); return real(a, b); }
int symlink(const char *a, const char *b) { REAL(symlink); at(); return real(a, b); }
int unlink(const char *a) { REAL(unlink); at(); return real(a); }
int rmdir(const char *a) { REAL(rmdir); at(); return real(a); }
int mkdir(const char *a, mode_t m) { REAL(mkdir); at(); return real(a, m); }
"""


def compiled(folder: Path) -> Path | None:
    """The counting library; None without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return None
    (folder / "counting.c").write_text(SOURCE)
    library = folder / "counting.so"
    words = (compiler, "-O2", "-shared", "-fPIC", "-o", library, folder / "counting.c", "-ldl")
    subprocess.run(words, check=True)
    return library


def kill_at_each(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Kill a run before its n-th file operation, for `count` numbers spread over all of them."""
    part = Part("operations", "SIGKILL at each write, fsync, rename, link, removal of a run")
    library = ctypes.CDLL(None)
    if not hasattr(library, "torture_arm"):
        part.numbers["left out"] = "no C compiler"
        return part
    file = write_job(JOB, place)
    words = ["fit", file, "--resume", "auto", "-q", "--out"]
    whole = run([*words, "undisturbed"], place=place)
    part.check("it runs undisturbed", whole.code == 0, str(whole))
    total = _count(place, words, library)
    numbers = range(1, total + 1)
    if count < total:
        numbers = sorted(random.Random(seed).sample(numbers, count))  # type: ignore[assignment]
    left: Counter[str] = Counter()
    for number in numbers:
        folder = f"at-{number}"
        killed = Command(
            [*words, folder], place=place, prepare=lambda n=number: library.torture_arm(n)
        ).wait()
        if killed.code == 0:
            left["past the end"] += 1  # the number of operations differs a little from run to run
            continue
        part.check(f"operation {number} is met", killed.code == -9, str(killed))
        sound = (place / folder / "checkpoints" / "last.pt").is_file()
        left["a last checkpoint" if sound else "no last checkpoint"] += 1
        ended = run([*words, folder], place=place)
        if part.check(f"after operation {number} it resumes", ended.code == 0, str(ended)):
            found = differences(place / folder, place / "undisturbed")
            part.check(f"operation {number}: same run", not found, "; ".join(found[:3]))
        shutil.rmtree(place / folder, ignore_errors=True)
        note(f"operation {number} of {total}, {len(part.failures)} failures")
    part.numbers |= {"operations": total, "killed at": sum(left.values()), "left": dict(left)}
    return part


def _count(place: Path, words: list[str | Path], library: ctypes.CDLL) -> int:
    """The operations of a run."""

    def prepare() -> None:
        import atexit
        import os

        library.torture_arm(0)
        leave = os._exit

        def ending(code: int) -> None:
            (place / "operations").write_text(str(library.torture_count()))
            leave(code)

        os._exit = ending  # type: ignore[assignment]
        del atexit

    run([*words, "counted"], place=place, prepare=prepare)
    return int((place / "operations").read_text())
