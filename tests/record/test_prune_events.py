"""Event files that were damaged: cut at the first damaged record, said, and never an error."""

from __future__ import annotations

import io
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.summary.writer.record_writer import masked_crc32c
from torch import nn

from cnntrain.record.metrics_file import MetricsFile
from cnntrain.record.metrics_rows import losses_by_step
from cnntrain.record.observe import observe
from cnntrain.record.prune_events import prune_events
from cnntrain.record.tensorboard import TensorBoard
from cnntrain.train.events import Event, RunStarted

Run = Callable[..., Iterator[Event]]
START = RunStarted(3, 4, 2, 8)


@pytest.fixture
def split(tmp_path: Path, run: Run) -> Path:
    """The training split's folder of a run that was cut off in its third epoch."""
    record(tmp_path, run(until=11))
    return tmp_path / "train"


def record(folder: Path, events: Iterator[Event], stream: io.StringIO | None = None) -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    board = TensorBoard(tensorboard=folder, net=net, stream=stream)
    observe(events, observers=[board], every=2)


def steps(folder: Path) -> list[int]:
    found = EventAccumulator(str(folder), size_guidance={"scalars": 0}).Reload()
    tags = found.Tags()["scalars"]
    return [point.step for point in found.Scalars("step/loss")] if "step/loss" in tags else []


GONE = "lacks the points of {} lines in metrics.jsonl, the first of step {}"


def test_points_that_are_gone_are_reported(tmp_path: Path, run: Run) -> None:
    """The whole file was damaged, exchanged or deleted: nothing in it shows what it had."""
    metrics = tmp_path / "metrics.jsonl"
    files = MetricsFile(metrics_jsonl=metrics, metrics_csv=tmp_path / "metrics.csv")
    observe(run(until=11), observers=[files], every=2)
    losses = losses_by_step(metrics)
    ends = [("loss", 4), ("loss", 8)]
    at = [("step/loss", step) for step in (2, 4, 6, 8, 10)]
    assert {split: sorted(found) for split, found in losses.items()} == {
        "train": [*ends, *at],
        "validation": ends,
    }
    tb = tmp_path / "tb"
    record(tb, run(until=11))
    for split, found in losses.items():
        assert prune_events(tb / split, start=START, losses=found) == []
    other = {at: loss + 0.01 for at, loss in losses["train"].items()}  # another run's
    (note,) = prune_events(tb / "train", start=START, losses=other)
    assert note.endswith(GONE.format(6, 2))
    reports = {at: loss for at, loss in losses["train"].items() if at[0] == "step/loss"}
    without = {("step/loss", 3): 1.0, **reports}  # it was lost between two epochs
    (note,) = prune_events(tb / "train", start=START, losses=without)
    assert note.endswith("lacks the points of 1 line in metrics.jsonl, the first of step 3")
    for path in (tb / "train").iterdir():
        path.write_bytes(b"")
    (note,) = prune_events(tb / "train", start=START, losses=losses["train"])
    assert note.endswith(f"train {GONE.format(6, 2)}")
    shutil.rmtree(tb / "validation")
    stream = io.StringIO()
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2))
    board = TensorBoard(tensorboard=tb, net=net, metrics_jsonl=metrics, stream=stream)
    board.observe(START)
    board.close()
    assert f"validation {GONE.format(2, 4)}" in stream.getvalue()


def test_the_checksum_is_crc_32c() -> None:
    """Its check value, E3069283, before the mask."""
    check = 0xE3069283
    assert masked_crc32c(b"123456789") == ((check >> 15 | check << 17) + 0xA282EAD8) & 0xFFFFFFFF


def test_a_sound_file_loses_nothing(split: Path) -> None:
    assert prune_events(split, start=START) == []
    assert steps(split) == [2, 4, 6, 8]


@pytest.mark.parametrize("damage", ["flip", "zeros", "zero tail", "insert", "0xff"])
def test_damage_anywhere(split: Path, damage: str) -> None:
    (file,) = split.iterdir()
    whole = file.read_bytes()
    for at in range(3, len(whole) - 8, len(whole) // 23):
        data = bytearray(whole)
        if damage == "flip":
            data[at] ^= 16
        elif damage == "insert":
            data[at:at] = b"xyz"
        elif damage == "zero tail":
            data[at:] = bytes(len(data) - at)
        else:
            data[at : at + 8] = bytes(8) if damage == "zeros" else b"\xff" * 8
        for each in split.iterdir():
            each.unlink()
        file.write_bytes(data)
        notes = prune_events(split, start=START)
        if bytes(data) != whole:
            assert len(notes) == 1
            assert f"{file} was cut at its first damaged record: " in notes[0]
        found = steps(split)
        assert found == [2, 4, 6, 8][: len(found)]
        left, emptied = sorted(split.iterdir())
        assert whole.startswith(left.read_bytes())
        assert (emptied, emptied.read_bytes()) == (file, b"")


def test_a_record_that_is_sound_and_no_event(split: Path) -> None:
    (file,) = split.iterdir()
    content = b"\xff" * 20
    head = struct.pack("<Q", len(content))
    frame = head + struct.pack("<L", masked_crc32c(head))
    frame += content + struct.pack("<L", masked_crc32c(content))
    file.write_bytes(file.read_bytes() + frame)
    notes = prune_events(split, start=START)
    assert notes == [f"{file} was cut at its first damaged record: 36 B are lost"]
    assert steps(split) == [2, 4, 6, 8]


def test_what_an_interrupted_prune_and_others_left(split: Path) -> None:
    (newest,) = split.iterdir()
    (split / "resumed.draft").write_bytes(b"half")
    (split / "events.out.tfevents.1").mkdir()
    assert prune_events(split, start=START) == []
    names = {path.name for path in split.iterdir()}
    resumed = "events.out.tfevents.0000000000.resumed"
    assert names == {resumed, newest.name, "events.out.folder.1"}
    assert newest.stat().st_size == 0
    (split / resumed).rename(split / "other.draft")
    newest.unlink()
    assert prune_events(split, start=START) == []
    assert [path.name for path in split.iterdir()] == ["events.out.folder.1"]


def test_it_is_said_once_and_training_goes_on(tmp_path: Path, split: Path, run: Run) -> None:
    (file,) = split.iterdir()
    data = bytearray(file.read_bytes())
    data[20:24] = b"\xff\xff\xff\xff"
    file.write_bytes(data)
    stream = io.StringIO()
    record(tmp_path, run(epoch=2, step=8), stream)
    assert stream.getvalue().count("was cut at its first damaged record") == 1
    assert steps(split) == [10, 12]
