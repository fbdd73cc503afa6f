"""A measurement of a tiny run, and the turns that it consists of, on machines of known speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from cnntrain.bench.bench import bench
from cnntrain.bench.ways import Computing, Feed, Loading, Training
from cnntrain.bench.wording import as_data, as_text
from cnntrain.config.load import load
from cnntrain.core.errors import UsageError
from cnntrain.data.batch import Batch

BATCH = Batch(torch.zeros(10, 1, 2, 2), torch.zeros(10, dtype=torch.int64))


@dataclass
class Machine:
    """A loader of ten images in 2 seconds, and steps of 3 seconds, on a clock of their own."""

    now: float = 0.0
    batches_per_epoch = 4
    size = 40
    batch = BATCH

    def clock(self) -> float:
        return self.now

    def batches(self, _epoch: int, *, start: int = 0) -> Iterator[Batch]:
        for _ in range(self.batches_per_epoch - start):
            self.now += 2
            yield BATCH

    def step(self, _batch: Batch) -> None:
        self.now += 3

    def run(self, count: int) -> None:
        self.now += 3 * count

    def finish(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _short_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Turns of milliseconds, and one core: one reading process is tried."""
    monkeypatch.setattr("cnntrain.bench.measuring.TURN", 0.01)
    monkeypatch.setattr("cnntrain.bench.ways.SHORTEST", 0.005)
    monkeypatch.setattr("cnntrain.bench.changes.core_count", lambda: 1)


def test_turns_on_a_machine_of_known_speed() -> None:
    machine = Machine()
    feed = Feed(machine, workers=3)
    assert feed.ahead == 0  # not read by workers
    loading = Loading(feed, machine, 6, machine.clock)  # type: ignore[arg-type]
    computing = Computing(machine, 5, machine.clock)  # type: ignore[arg-type]
    both = Training(feed, machine, 7, machine.clock)  # type: ignore[arg-type]
    assert loading() == pytest.approx(0.2)
    assert computing() == pytest.approx(0.3)
    assert both() == pytest.approx(0.5)
    assert both.waited == pytest.approx([2 / 5])


def test_what_workers_have_ready_counts_for_nothing() -> None:
    machine = Machine()
    feed = Feed(machine, workers=0)
    feed.ahead = 3
    before = machine.now
    assert Loading(feed, machine, 2, machine.clock)() == pytest.approx(0.2)  # type: ignore[arg-type]
    assert machine.now - before == 2 * (3 + 2)


@pytest.mark.usefixtures("own_place")
def test_a_tiny_run(run_file: Callable[..., Path]) -> None:
    file = run_file({"data.memory": "stream", "data.workers": 0})
    told: list[str] = []
    found = bench(load(file), seconds=0.5, tell=told.append)
    assert told[:3] == ["preparing", "the network: 16 images at once", "the loader"]
    assert found.timed == 16
    assert min(found.rounds) >= 3
    for rate in (found.loader, found.network, found.whole):
        assert 0 < rate.low <= rate.median <= rate.high
    assert 0 <= found.waiting <= 1
    # conv 8x8 of 4 maps of 3x3, then 4 maps of 4x4 to 3 classes
    operations = 6 * (8 * 8 * 4 * 9 + 4 * 4 * 4 * 3) * found.network.median
    assert found.products == pytest.approx(operations / found.peak.products, rel=0.01)
    named = [str(effect.change) for effect in found.effects]
    assert named[:2] == ["compute.precision=bfloat16", "compute.channels_last=false"]
    assert {"data.batch_size=8", "data.batch_size=32", "data.batch_size=64"} <= {*named}
    assert "data.workers=1" in named
    assert all(effect.gain is not None for effect in found.effects)
    data = as_data(found, subject="tiny.yaml")
    assert [each["key"] for each in data["effects"]] == [each.change.key for each in found.effects]
    assert data["images_per_second"]["both"]["median"] == found.whole.median
    text = as_text(found, subject="tiny.yaml")
    for part in ("batches of 16;", "both together waits for images", "GFLOP/s", "recommended"):
        assert part in text


@pytest.mark.usefixtures("own_place")
def test_a_large_network_is_timed_with_fewer_images(
    run_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cnntrain.assemble.trial_parts.STEP_WORK", 1.0)
    found = bench(load(run_file()), seconds=0.1)
    assert found.timed == 8  # the least
    assert "batches of 16, timed in parts of 8;" in as_text(found, subject="tiny.yaml")
    assert found.loaded.config.data.batch_size == 16


def test_a_probe_is_refused(run_file: Callable[..., Path]) -> None:
    changes = {
        "finetune": {"weights": {"file": "x.pt"}, "probe": True},
        "data.transforms.train": ["normalize"],
    }
    with pytest.raises(UsageError, match="trains one layer on features"):
        bench(load(run_file(changes)))
