"""Event files of TensorBoard, written in this thread, so that errors come where they arise."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterable
from io import BytesIO
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from cnntrain.record.growing_file import GrowingFile

if TYPE_CHECKING:
    from tensorboard.compat.proto.summary_pb2 import Summary

_NUMBERS = count()
_VERSION = "brain.Event:2"


def whole_event_file(summaries: Iterable[Summary]) -> tuple[str, bytes]:
    """Name and content of a new event file that has these summaries, all of them at step 0."""
    events = (_record(wall_time=time.time(), summary=summary) for summary in summaries)
    return _new_name(), b"".join([_head(), *events])


class EventFile:
    """Writes summaries to a new file of a folder, which is made if need be.

    Args:
        folder: of one split.
        purge_step: the first step to come in a run that was resumed: a TensorBoard that is
            watching drops what it has from there on.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path, *, purge_step: int | None = None) -> None:
        from tensorboard.compat.proto.event_pb2 import SessionLog

        folder.mkdir(parents=True, exist_ok=True)
        self.file = GrowingFile(folder / _new_name(), head=_head())
        if purge_step is None:
            self.file.catch_up()  # seen by TensorBoard at once
        else:
            start = SessionLog(status=SessionLog.START)
            self.file.add(_record(wall_time=time.time(), step=purge_step, session_log=start))

    def add(self, summary: Summary, step: int = 0) -> None:
        """Append a summary."""
        self.file.add(_record(wall_time=time.time(), step=step, summary=summary))


def _new_name() -> str:
    """TensorBoard reads a folder's files in the order of their names."""
    host, process = socket.gethostname(), os.getpid()
    return f"events.out.tfevents.{int(time.time()):010d}.{host}.{process}.{next(_NUMBERS):06d}"


def _head() -> bytes:
    return _record(wall_time=time.time(), file_version=_VERSION)


def _record(**event: object) -> bytes:
    """An event with its frame of length and checksums."""
    from tensorboard.compat.proto.event_pb2 import Event
    from tensorboard.summary.writer.record_writer import RecordWriter

    framed = BytesIO()
    RecordWriter(framed).write(Event(**event).SerializeToString())
    return framed.getvalue()
