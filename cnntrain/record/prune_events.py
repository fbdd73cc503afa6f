"""TensorBoard's event files read back, where a run is resumed: checked, and cut to where it was."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from cnntrain.core.atomic import disk_errors, write_atomically
from cnntrain.core.units import byte_size
from cnntrain.show.words import counted
from cnntrain.train.events import RunStarted

if TYPE_CHECKING:
    from tensorboard.compat.proto.event_pb2 import Event

TRAIN = "train"
_SESSION_END = "_hparams_/session_end_info"
_HEAD = struct.Struct("<QL")
"""Before an event: its length, and the checksum of that."""
_TAIL = struct.Struct("<L")
"""After it: its checksum."""


def prune_events(
    folder: Path,
    *,
    start: RunStarted,
    losses: Mapping[tuple[str, int], float] = MappingProxyType({}),
) -> list[str]:
    """Leave in a split's event files only what was done before a run's start, each event once.

    The final figures go, too. All of it goes to one file, whose name sorts before those of the
    files to come (TensorBoard reads a folder in the order of the names, which count seconds). The
    newest of the old files stays, empty. A torn end is dropped. A file is cut at its first damaged
    record: where the next one begins is not known for sure.

    Args:
        folder: of the split.
        start: of the run.
        losses: those of steps, epochs and evaluations that should be there, by tag and step.

    Returns:
        What was lost to damage, one sentence a file.
    """
    with disk_errors(folder):
        for draft in folder.glob("*.draft*"):  # of a prune that was interrupted
            draft.unlink()
        found = sorted(folder.glob("events.out.tfevents.*"))
        files = [path for path in found if path.is_file()]
        for path in (path for path in found if path.is_dir()):  # TensorBoard would open it
            path.rename(folder / path.name.replace("tfevents", "folder"))
        content, notes = _kept(folder, files, start=start, losses=losses)
        if not files:
            return notes
        draft = folder / "resumed.draft"  # a name that TensorBoard does not open
        write_atomically(draft, lambda out: out.write(content), needed=len(content))
        merged = folder / "events.out.tfevents.0000000000.resumed"
        draft.replace(merged)
        old = [file for file in files if file != merged]
        for file in old[:-1]:
            file.unlink()
        for file in old[-1:]:
            # Its name stays: from a file that is gone, a TensorBoard that is watching finds no next
            os.truncate(file, 0)
    return notes


def _kept(
    folder: Path,
    files: Sequence[Path],
    *,
    start: RunStarted,
    losses: Mapping[tuple[str, int], float],
) -> tuple[bytes, list[str]]:
    """The records that stay, and what was lost to damage."""
    from google.protobuf.message import (  # type: ignore[import-untyped]  # with the next: 0.3 s
        DecodeError,
    )
    from tensorboard.compat.proto.event_pb2 import Event

    kept: dict[bytes, None] = {}
    notes: list[str] = []
    lacking = {at: loss for at, loss in losses.items() if at[1] <= start.step}
    for file in files:
        data = file.read_bytes()
        end = 0
        for end, record in _records(data):
            try:
                event = Event.FromString(record[_HEAD.size : -_TAIL.size])
            except DecodeError:
                end -= len(record)
                break
            is_second = event.HasField("file_version") and bool(kept)
            if not is_second and _stays(event, start):
                kept[record] = None
                for found in _found(event, lacking):
                    del lacking[found]
        if not _is_torn(data[end:]):
            lost = byte_size(len(data) - end)
            notes.append(f"{file} was cut at its first damaged record: {lost} are lost")
    if lacking and not notes:
        many = counted(len(lacking), "line", "lines")
        first = f"the first of step {min(step for _, step in lacking):,}"
        notes.append(f"{folder} lacks the points of {many} in metrics.jsonl, {first}")
    return b"".join(kept), notes


def _found(event: Event, losses: Mapping[tuple[str, int], float]) -> list[tuple[str, int]]:
    """Those of the losses that this event has; it stores them as float32."""
    points = [((value.tag, event.step), value.simple_value) for value in event.summary.value]
    return [at for at, point in points if at in losses and _is_close(point, losses[at])]


def _is_close(point: float, loss: float) -> bool:
    return math.isclose(point, loss, rel_tol=1e-6)


def _stays(event: Event, start: RunStarted) -> bool:
    """Whether an event is of what the resumed state had already done."""
    if event.HasField("file_version"):
        return True
    tag = event.summary.value[0].tag if event.summary.value else ""
    is_of_the_end = tag.startswith("final/") or tag == _SESSION_END
    if start.step == 0 or is_of_the_end or event.HasField("session_log"):
        return False
    in_an_epoch = start.step > start.epoch * start.steps_per_epoch
    if in_an_epoch and event.step == start.step:
        return bool(tag.startswith("step/"))  # all else is of the epoch's end, which is to come
    return bool(event.step <= start.step)


def _records(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The whole records up to the first damaged one, each with its end and its frame."""
    from tensorboard.summary.writer.record_writer import masked_crc32c

    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length + _TAIL.size
        if end > len(data) or masked_crc32c(data[at : at + 8]) != checksum:
            return
        content = data[at + _HEAD.size : end - _TAIL.size]
        if masked_crc32c(content) != _TAIL.unpack_from(data, end - _TAIL.size)[0]:
            return
        yield end, data[at:end]
        at = end


def _is_torn(rest: bytes) -> bool:
    """Whether this is nothing, or the sound beginning of a record: what a killed process leaves."""
    from tensorboard.summary.writer.record_writer import masked_crc32c

    if len(rest) < _HEAD.size:
        return True
    length, checksum = _HEAD.unpack_from(rest)
    whole = _HEAD.size + length + _TAIL.size
    return bool(whole > len(rest) and masked_crc32c(rest[:8]) == checksum)
