"""`auto`: the batch size on a machine whose speed is a formula, the rate on a real network."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.assemble import find_numbers as module
from cnntrain.assemble.find_numbers import FoundSize, find_batch_size, find_numbers
from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError
from cnntrain.data.batch import Batch
from cnntrain.fit import fit as fit_module
from cnntrain.fit.restart import fit_or_resume
from cnntrain.show.progress import quietly

RunFile = Callable[..., Path]
BOTH = {"data.batch_size": "auto", "train.optimizer.lr": "auto"}


class Machine:
    """Steps that take `fixed + each * images` seconds of its own clock."""

    def __init__(self, fixed: float, each: float) -> None:
        self.fixed, self.each, self.now = fixed, each, 0.0
        self.images = 0

    def of(self, _net: object, _batch: Batch, **_more: object) -> Machine:
        return self

    def variant(self, *, batch: Batch) -> Machine:
        self.images = len(batch.targets)
        return self

    def run(self, count: int) -> None:
        self.now += count * (self.fixed + self.each * self.images)

    def clock(self) -> float:
        return self.now


def found_on(machine: Machine, file: Path, monkeypatch: pytest.MonkeyPatch) -> FoundSize:
    monkeypatch.setattr(module, "TimedSteps", machine)
    return find_batch_size(prepare(load(file)), clock=machine.clock)


@pytest.mark.usefixtures("own_place")
def test_the_smallest_size_that_is_nearly_as_fast(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Speed n / (a + b n) against that of the largest size tried, which has 20 steps an epoch."""
    file = run_file({"data.images": 2_600, "data.split.validation": 40})
    machine = Machine(fixed=0.002, each=0.001)
    found = found_on(machine, file, monkeypatch)
    speeds = {n: n / (0.002 + 0.001 * n) for n in (8, 16, 32, 64, 128)}  # 2,560 / 20 = 128
    assert found.speeds == pytest.approx(speeds)
    assert found.chosen == next(n for n in speeds if speeds[n] >= 0.9 * speeds[128]) == 16
    assert str(found).startswith("data.batch_size: auto is 16 (images per second in batches of 8:")


@pytest.mark.usefixtures("own_place")
def test_memory_is_not_filled(run_file: RunFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "device_memory", lambda _: 1)
    found = found_on(Machine(fixed=1.0, each=1e-6), run_file({"data.images": 2_600}), monkeypatch)
    assert found.chosen == 8
    assert [*found.speeds] == [8]


@pytest.mark.usefixtures("own_place")
def test_both_are_found_once_and_kept(
    run_file: RunFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run has the numbers; a resume and `--resume auto` take them and look for none."""
    monkeypatch.setattr(module, "SECONDS", 0.0)
    monkeypatch.setattr(module, "EACH", 0.0)
    file = run_file({**BOTH, "train.epochs": 1, "record.root": str(tmp_path / "runs")})
    outcome = fit_module.fit(load(file), quiet=True)
    data, train = (load(outcome.run.config).config.data, load(outcome.run.config).config.train)
    assert data.batch_size == 8
    assert train is not None
    assert isinstance(train.optimizer.lr, float)
    assert "auto is 8" in outcome.run.log.read_text()
    assert "train.optimizer.lr: auto is" in outcome.run.log.read_text()
    assert "batch_size: auto" in outcome.run.config_input.read_text()
    rows = [json.loads(row) for row in outcome.run.metrics_jsonl.read_text().splitlines()]
    assert max(row.get("lr", 0.0) for row in rows) == pytest.approx(train.optimizer.lr)

    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("it was found before")

    monkeypatch.setattr(fit_module, "find_numbers", refuse)
    again = fit_or_resume(load(file, ["train.epochs=2"]), quiet=True)
    assert again.run.path == outcome.run.path
    assert again.done is not None
    assert again.done.epoch == 2


@pytest.mark.usefixtures("own_place")
def test_a_rate_at_which_it_learns(run_file: RunFile, capsys: pytest.CaptureFixture[str]) -> None:
    """Between bounds far apart: below, 20 steps change nothing; above, momentum diverges."""
    found = find_numbers(load(run_file({"train.optimizer.lr": "auto"})))
    assert 1e-3 < found.train.optimizer.rate < 3
    assert found.config.data.batch_size == 16
    assert capsys.readouterr().err.startswith("finding train.optimizer.lr: ")
    with quietly():
        assert find_numbers(load(run_file({"train.optimizer.lr": "auto"}))).train == found.train
    assert capsys.readouterr().err == ""
    [note] = found.notes
    assert note.startswith(f"train.optimizer.lr: auto is {found.train.optimizer.rate:g} ")


@pytest.mark.usefixtures("own_place")
def test_a_network_that_learns_at_no_rate(run_file: RunFile) -> None:
    """Its rate is multiplied by 0."""
    layers = [{"linear": {"out": 3}, "as": "output"}]
    frozen = {"arch": {"layers": ["flatten", *layers]}, "train.optimizer.groups": [
        {"names": "*", "lr_factor": 0.0}]}  # fmt: skip
    with pytest.raises(ConfigError) as error:
        find_numbers(load(run_file({"train.optimizer.lr": "auto", **frozen})))
    [problem] = error.value.problems
    assert problem.message.startswith("auto finds no learning rate")
    assert problem.place is not None
