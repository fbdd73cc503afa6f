"""TensorBoard's event files of a resumed run: what lies after the resumed step is taken out."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

from cnntrain.core.atomic import disk_errors

_HEAD = struct.Struct("<Q4x")  # length of the event, checksum of the length
_TAIL = 4  # checksum of the event


def prune_events(folder: Path, *, step: int) -> None:
    """Leave in a folder's event files only what is of `step` or before, each event once.

    All of it goes to one file, whose name sorts before those of the files to come (TensorBoard
    reads a folder in the order of the names, which count seconds). A torn end is dropped.
    """
    from tensorboard.compat.proto.event_pb2 import Event  # 0.3 s: only where there are files

    with disk_errors(folder):
        files = sorted(folder.glob("events.out.tfevents.*"))
        if not files:
            return
        draft = folder / "resumed.draft"
        seen: set[bytes] = set()
        with draft.open("wb") as out:
            for file in files:
                for record in _records(file):
                    event = Event.FromString(record[_HEAD.size : -_TAIL])
                    marker = event.HasField("session_log")
                    double = event.HasField("file_version") and bool(seen)
                    if event.step <= step and not marker and not double and record not in seen:
                        seen.add(record)
                        out.write(record)
        merged = folder / "events.out.tfevents.0000000000.resumed"
        draft.replace(merged)
        for file in files:
            if file != merged:
                file.unlink()


def _records(file: Path) -> Iterator[bytes]:
    """The whole records, each with its frame: head, event, tail."""
    data = file.read_bytes()
    at = 0
    while at + _HEAD.size <= len(data):
        (length,) = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length + _TAIL
        if end > len(data):
            return
        yield data[at:end]
        at = end
