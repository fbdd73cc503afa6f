"""Thousands of epochs of a tiny run: what grows?"""

from __future__ import annotations

import os
import statistics
import time
from pathlib import Path
from typing import Any

from torturing.jobs import Note
from torturing.part import Part
from torturing.processes import Command

RUN_FILE = """
name: soak
compute: {threads: 1}
arch: {layers: [flatten, {linear: {out: 8}}, relu, {linear: {out: $num_classes}}]}
data: {name: synthetic, size: 4, classes: 2, images: 40, test_images: 20, validation: 0.2,
       batch_size: 16}
train: {epochs: EPOCHS, optimizer: {name: sgd, lr: 0.01}, ema: {decay: 0.9}}
record: {every: 2}
"""

LONG = 2000
"""Epochs from which on their time says something: a few hundred last seconds, in which whatever
else the machine does decides."""


def soak(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Train `count` epochs; memory, handles and time are read from outside, ten times a second.

    Time is that of the processor: the machine may have other work.
    """
    del seed
    part = Part("soak", "a tiny run of many epochs: memory, handles, seconds")
    (place / "soak.yaml").write_text(RUN_FILE.replace("EPOCHS", str(count)))
    command = Command(["fit", "soak.yaml", "--out", "run", "-q"], place=place)
    rows: list[tuple[int, int, int, float]] = []
    while os.waitid(os.P_PID, command.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        epochs = _lines(place / "run" / "metrics.csv")
        # after the last epoch come the test and the page about the network
        if 0 < epochs < count and (row := _measured(command.pid)):
            rows.append((epochs, *row))
        time.sleep(0.1)
        if len(rows) % 100 == 1:
            note(f"epoch {epochs} of {count}")
    ended = command.wait()
    part.check("it ends", ended.code == 0, str(ended))
    tenth = max(10, len(rows) // 10)  # the processor's time is counted in hundredths of a second
    early, late = rows[tenth : 2 * tenth], rows[-tenth:]
    memory = [statistics.median(row[1] for row in group) / 1024 for group in (early, late)]
    handles = [max(row[2] for row in group) for group in (early, late)]
    speed = [_per_epoch(group) for group in (early, late)]
    part.check("memory is flat", memory[1] < 1.02 * memory[0] + 2, f"{memory} MB")
    part.check("handles are flat", handles[1] <= handles[0] + 1, str(handles))
    if count >= LONG:
        part.check("an epoch takes as long", speed[1] < 1.3 * speed[0], f"{speed} ms")
    sizes: dict[str, Any] = {}
    for path in sorted((place / "run").rglob("*")):
        if path.is_file():
            top = path.relative_to(place / "run").parts[0]
            sizes[top] = sizes.get(top, 0) + path.stat().st_size
    part.numbers |= {
        "epochs": count,
        "megabytes, early and late": [round(value, 1) for value in memory],
        "handles, early and late": handles,
        "milliseconds an epoch, early and late": [round(value, 2) for value in speed],
        "bytes per epoch": {name: round(size / count, 1) for name, size in sizes.items()},
    }
    return part


def _lines(file: Path) -> int:
    try:
        return file.read_bytes().count(b"\n") - 1
    except OSError:
        return 0


def _measured(pid: int) -> tuple[int, int, float] | None:
    """Resident kilobytes, open handles and seconds of the processor of a process."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
        times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        handles = len(list(Path(f"/proc/{pid}/fd").iterdir()))
    except OSError:
        return None
    sizes = [line.split()[1] for line in status.splitlines() if line.startswith("VmRSS")]
    seconds = sum(map(int, times)) / os.sysconf("SC_CLK_TCK")
    return (int(sizes[0]), handles, seconds) if sizes else None


def _per_epoch(rows: list[tuple[int, int, int, float]]) -> float:
    """Milliseconds of the processor."""
    epochs = rows[-1][0] - rows[0][0]
    return 1000 * (rows[-1][3] - rows[0][3]) / max(epochs, 1)
