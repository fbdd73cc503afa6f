"""Which phase of a training a process was in when it was killed: memory that outlives it."""

from __future__ import annotations

import ctypes
import functools
import importlib
import mmap
import sys
import time
from collections.abc import Callable
from typing import Any

STARTING, TRAINING, EVALUATING, SAVING, CLOSING = range(5)
NAMES = ("start-up", "training", "evaluation", "writing a checkpoint", "test and closing")
FUNCTIONS = {
    "cnntrain.train.step:forward_backward": TRAINING,
    "cnntrain.train.evaluation:evaluate": EVALUATING,
    "cnntrain.record.checkpoints:CheckpointKeeper._keep": SAVING,
    "cnntrain.fit.to_the_end:_afterwards": CLOSING,
}
"""With a call of which a phase begins; evaluating and saving end with it."""


class Phases:
    """The present phase of a forked command, how often each was entered, and seconds in each."""

    def __init__(self) -> None:
        numbers = 1 + 2 * len(NAMES)
        self._memory = mmap.mmap(-1, 8 * numbers)
        self._numbers = (ctypes.c_double * numbers).from_buffer(self._memory)

    @property
    def now(self) -> int:
        """The phase; that of its death, once the process is dead."""
        return int(self._numbers[0])

    def entries(self, phase: int) -> int:
        """How often the phase has begun."""
        return int(self._numbers[1 + phase])

    def seconds(self, phase: int) -> float:
        """How long the phase lasts, each time, as far as it is over."""
        return self._numbers[1 + len(NAMES) + phase] / max(1, self.entries(phase))

    def watch(self) -> None:
        """In the new process: begin with its start, and follow it from here on."""
        ctypes.memset(self._numbers, 0, ctypes.sizeof(self._numbers))
        self._began = time.perf_counter()
        self._enter(STARTING)
        for place, phase in FUNCTIONS.items():
            replace(place, lambda original, p=phase: self._followed(original, p))

    def _enter(self, phase: int) -> None:
        now = time.perf_counter()
        self._numbers[1 + len(NAMES) + self.now] += now - self._began
        self._began = now
        self._numbers[0] = phase

    def _followed(self, original: Callable[..., Any], phase: int) -> Callable[..., Any]:
        @functools.wraps(original)
        def wrapped(*arguments: Any, **others: Any) -> Any:
            before = self.now
            if before == phase or (before == CLOSING and phase != SAVING):
                return original(*arguments, **others)
            self._numbers[1 + phase] += 1
            self._enter(phase)
            try:
                return original(*arguments, **others)
            finally:
                if phase in (EVALUATING, SAVING):
                    self._enter(before)

        return wrapped


def replace(place: str, change: Callable[[Callable[..., Any]], Callable[..., Any]]) -> None:
    """Replace `module:function` or `module:Class.function`, wherever cnntrain has imported it."""
    module_name, _, name = place.partition(":")
    owner: Any = importlib.import_module(module_name)
    *classes, attribute = name.split(".")
    for each in classes:
        owner = getattr(owner, each)
    original = getattr(owner, attribute)
    changed = change(original)
    setattr(owner, attribute, changed)
    for module in list(sys.modules.values()):
        if getattr(module, "__name__", "").startswith("cnntrain"):
            for key, value in list(vars(module).items()):
                if value is original:
                    setattr(module, key, changed)
