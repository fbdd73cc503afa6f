"""The checkpoint keeper: what is saved when, and what is never lost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cnntrain.checkpoint.writer import Part, Writer
from cnntrain.core.errors import DiskError, DivergedError
from cnntrain.record.checkpoints import CheckpointKeeper
from cnntrain.train.events import EpochDone, Event, RunDone, StepDone

Run = Callable[..., Iterator[Event]]


class Disk(Writer):
    """A fake store: the state is the number of the snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.snapshots = 0
        self.writes: list[str] = []
        self.full = False

    def snapshot(self) -> dict[str, int]:
        self.snapshots += 1
        return {"number": self.snapshots}

    def write(  # type: ignore[override]
        self,
        path: Path,
        state: dict[str, int],
        *,
        also: Path | None = None,
        previous: Path | None = None,
        part: Part | None = None,
    ) -> None:
        if self.full:
            raise DiskError("No space left on device")
        if previous is not None and path.exists():
            previous.write_text(path.read_text())
        for name in (path, also):
            if name is not None:
                held = state if part is None or name is path else part(state)  # type: ignore[arg-type]
                name.write_text(str(held["number"]))
        names = path.name if also is None else f"{also.name} {path.name}"
        self.writes.append(f"{names} {state['number']}")


def feed(keeper: CheckpointKeeper, events: object) -> None:
    for event in events:  # type: ignore[attr-defined]
        keeper.observe(event)
    keeper.close()


def epoch(number: int, *, is_best: bool) -> EpochDone:
    return EpochDone(number, number, 1.0, {"error": 0.5}, 0.1, None, is_best, 10, 1.0, 0.0)


@pytest.fixture
def disk() -> Disk:
    return Disk()


def test_last_after_each_epoch_and_best_when_it_is(tmp_path: Path, disk: Disk) -> None:
    keeper = CheckpointKeeper(checkpoints=tmp_path, snapshot=disk.snapshot, writer=disk)
    feed(keeper, [epoch(1, is_best=True), epoch(2, is_best=False), epoch(3, is_best=False)])
    assert disk.writes == ["best.pt last.pt 1", "last.pt 2", "last.pt 3"]
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "best.pt": "1",
        "previous.pt": "2",
        "last.pt": "3",
    }


def test_of_the_best_only_a_part_is_kept_where_it_is_asked_for(tmp_path: Path, disk: Disk) -> None:
    keeper = CheckpointKeeper(
        checkpoints=tmp_path,
        snapshot=disk.snapshot,
        writer=disk,
        best_part=lambda state: {"number": f"a part of {state['number']}"},
    )
    feed(keeper, [epoch(1, is_best=True), epoch(2, is_best=False)])
    assert (tmp_path / "best.pt").read_text() == "a part of 1"
    assert [(tmp_path / name).read_text() for name in ("previous.pt", "last.pt")] == ["1", "2"]


def test_every_steps_and_not_twice_at_the_end(tmp_path: Path, run: Run, disk: Disk) -> None:
    keeper = CheckpointKeeper(
        checkpoints=tmp_path, snapshot=disk.snapshot, writer=disk, checkpoint_every=3
    )
    feed(keeper, [e for e in run(epochs=1, steps=7) if not isinstance(e, EpochDone)])
    assert disk.writes == [f"last.pt {n}" for n in (1, 2, 3, 4)]  # steps 0, 3, 6, and the end
    disk.writes.clear()
    feed(keeper, run(epochs=1, steps=7))
    assert disk.writes == [f"last.pt {n}" for n in (5, 6, 7)] + ["best.pt last.pt 8"]


def test_a_stopped_run_is_saved_where_it_stands(tmp_path: Path, run: Run, disk: Disk) -> None:
    keeper = CheckpointKeeper(checkpoints=tmp_path, snapshot=disk.snapshot, writer=disk)
    stopped = RunDone("stopped", 1, 6, 1, 0.2, 10.0)
    feed(keeper, [*run(epochs=2, steps=4, until=6), stopped])
    assert disk.writes == ["last.pt 1", "best.pt last.pt 2", "last.pt 3"]


def test_there_is_a_checkpoint_before_the_first_batch(tmp_path: Path, run: Run, disk: Disk) -> None:
    """Unless last.pt is the very state that training starts from."""
    keeper = CheckpointKeeper(checkpoints=tmp_path, snapshot=disk.snapshot, writer=disk)
    start = next(run())
    feed(keeper, [start, RunDone("stopped", 0, 0, None, None, 1.0)])
    assert disk.writes == ["last.pt 1"]
    keeper = CheckpointKeeper(
        checkpoints=tmp_path, snapshot=disk.snapshot, writer=disk, last_is_current=True
    )
    feed(keeper, [start, RunDone("finished", 0, 0, None, None, 1.0)])
    assert disk.writes == ["last.pt 1"]


def test_a_first_state_that_is_not_finite_is_left_to_the_first_step(
    tmp_path: Path, run: Run, disk: Disk
) -> None:
    def diverged() -> dict[str, int]:
        raise DivergedError("not finite")

    keeper = CheckpointKeeper(checkpoints=tmp_path, snapshot=diverged, writer=disk)
    keeper.observe(next(run()))
    assert disk.writes == []
    with pytest.raises(DivergedError):
        keeper.observe(epoch(1, is_best=False))


def test_a_state_that_is_not_finite_is_never_saved(
    tmp_path: Path, disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    finite = iter([True, False])
    keeper = CheckpointKeeper(
        checkpoints=tmp_path, snapshot=disk.snapshot, writer=disk, finite=lambda: next(finite)
    )
    feed(keeper, [epoch(1, is_best=True), epoch(2, is_best=True)])
    assert disk.writes == ["best.pt last.pt 1"]
    assert "step 2: not saved" in caplog.text


def test_metrics_come_to_disk_before_the_state(tmp_path: Path, disk: Disk) -> None:
    keeper = CheckpointKeeper(
        checkpoints=tmp_path,
        snapshot=disk.snapshot,
        writer=disk,
        before_save=lambda: disk.writes.append("flushed"),
    )
    feed(keeper, [epoch(1, is_best=False)])
    assert disk.writes == ["flushed", "last.pt 1"]


def test_a_full_disk_leaves_the_last_state(tmp_path: Path, disk: Disk) -> None:
    keeper = CheckpointKeeper(checkpoints=tmp_path, snapshot=disk.snapshot, writer=disk)
    keeper.observe(epoch(1, is_best=False))
    disk.full = True
    with pytest.raises(DiskError, match="No space left"):
        keeper.observe(epoch(2, is_best=False))
    assert (tmp_path / "last.pt").read_text() == "1"


def test_a_damaged_last_does_not_push_out_a_good_previous(
    tmp_path: Path, run: Run, disk: Disk
) -> None:
    (tmp_path / "last.pt").write_text("damaged")
    (tmp_path / "previous.pt").write_text("good")
    keeper = CheckpointKeeper(checkpoints=tmp_path, snapshot=disk.snapshot, writer=disk)
    keeper.observe(next(run()))
    assert (tmp_path / "last.pt").read_text() == "1"
    assert (tmp_path / "previous.pt").read_text() == "good"
    keeper.observe(epoch(2, is_best=False))
    assert (tmp_path / "previous.pt").read_text() == "1"


def test_steps_alone_save_nothing(tmp_path: Path, run: Run, disk: Disk) -> None:
    keeper = CheckpointKeeper(checkpoints=tmp_path, snapshot=disk.snapshot, writer=disk)
    steps: list[Event] = [e for e in run() if isinstance(e, StepDone)]
    feed(keeper, steps)
    assert disk.writes == []
