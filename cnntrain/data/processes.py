"""Starting and ending the processes that read images, whatever happens.

They never get Ctrl-C, SIGTERM and SIGHUP, which terminals, systemd and Slurm send to all processes
of a command: the main process obeys them, and ends its workers. When it is gone, they end.
"""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing.context import BaseContext
from multiprocessing.process import BaseProcess
from typing import Any
from weakref import WeakKeyDictionary

from torch.utils.data import DataLoader

from cnntrain.core.interrupts import postponed, signals
from cnntrain.data.budget import Budget
from cnntrain.data.decode import shared_budget, use_budget

PATIENCE = 2.0
"""Seconds that a worker may take to finish what it reads when it is to end."""
_STARTED: WeakKeyDictionary[BaseProcess, int] = WeakKeyDictionary()
"""The workers, and which process has started each."""


def start_workers(loader: DataLoader[Any]) -> Iterator[Any]:
    """The iterator over a DataLoader that has none yet, with new processes."""
    before = set(multiprocessing.active_children())
    loader.worker_init_fn = partial(begin, shared_budget(_context(loader)))
    with postponed():
        try:
            return iter(loader)
        finally:
            new = set(multiprocessing.active_children()) - before
            _STARTED.update(dict.fromkeys(new, os.getpid()))


def end_workers(loader: DataLoader[Any]) -> None:
    """End the processes of a DataLoader; those that are stopped or stuck are killed.

    torch has no public call for this, and left to itself it ends them when the garbage
    collector comes by, and raises for each dead one again, wherever the program is then.
    """
    iterator: Any = loader._iterator
    loader._iterator = None
    if not hasattr(iterator, "_workers"):  # none, or one that reads in this process
        return
    processes: Sequence[BaseProcess] = iterator._workers
    try:
        with _deaf_to_deaths():
            late = threading.Timer(PATIENCE, _kill, [processes])
            late.start()
            try:
                iterator._shutdown_workers()
            finally:
                late.cancel()
    finally:
        if any(process.exitcode for process in processes):  # it may have held memory of the budget
            shared_budget(_context(loader), renewed=True)


@contextmanager
def _deaf_to_deaths() -> Iterator[None]:
    """Without torch's handler of SIGCHLD, which raises at each death, wherever the program is."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or not hasattr(signal, "SIGCHLD"):  # handlers run in the main thread
        yield
        return
    before = signal.getsignal(signal.SIGCHLD)
    while signal.getsignal(signal.SIGCHLD) != signal.SIG_DFL:
        with suppress(RuntimeError):  # of a death that was on its way
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, before or signal.SIG_DFL)


def _context(loader: DataLoader[Any]) -> BaseContext:
    chosen: BaseContext | None = loader.multiprocessing_context
    return chosen or multiprocessing.get_context()


def _kill(processes: Iterable[BaseProcess]) -> None:
    for process in processes:
        process.kill()


@atexit.register
def _kill_started() -> None:
    """Those that were not ended; multiprocessing would wait for them for ever."""
    _kill([process for process, starter in _STARTED.items() if starter == os.getpid()])


def begin(budget: Budget, _: int) -> None:
    """For a new worker: be deaf to signals, end when the main process does, share its memory."""
    use_budget(budget)
    for number in signals():
        signal.signal(number, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent watch", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
