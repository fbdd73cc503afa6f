"""Cases done in several forks of this process at once: most of their time is waiting."""

from __future__ import annotations

import os
import pickle
import tempfile
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from torturing.jobs import Note
from torturing.part import Part

LANES = 2 * (os.cpu_count() or 1)


def in_lanes(
    do: Callable[[Any, Part], Any], cases: Sequence[Any], *, part: Part, note: Note
) -> list[Any]:
    """Call `do(case, part)` for all cases, and collect what is checked and returned.

    Args:
        do: runs in a fork; what it returns can be pickled.
        cases: the n-th lane does every n-th of them.
        part: gets the checks of all.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, str(number)) for number in range(LANES)]
        lanes = [os.fork() or _be_lane(do, cases[n::LANES], file, note)
                 for n, file in enumerate(files)]  # fmt: skip
        for pid in lanes:
            os.waitpid(pid, 0)
        returned = []
        for file in files:
            if not part.check("a lane comes to its end", file.exists()):
                continue
            own, values = pickle.loads(file.read_bytes())
            part.checks += own.checks
            part.failures += own.failures
            returned += values
    return returned


def _be_lane(do: Callable[[Any, Part], Any], cases: Sequence[Any], file: Path, note: Note) -> int:
    own, values = Part("", ""), []
    try:
        for case in cases:
            values.append(do(case, own))
            note(f"{case}, {len(own.failures)} failures")
        file.write_bytes(pickle.dumps((own, values)))
    except BaseException:  # noqa: BLE001  # nothing of the lane may go on as its parent
        traceback.print_exc()
    finally:
        os._exit(0)
