"""`cnntrain.fit`: the training of the command line, which leaves nothing behind unless asked to."""

from __future__ import annotations

import csv
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

import cnntrain
from cnntrain.core.errors import ConfigError, DivergedError, UsageError
from cnntrain.fit.fitted import Fitted
from cnntrain.train import StepDone

Changed = Callable[..., dict[str, Any]]
TIMES = {"seconds", "images_per_second", "data_wait"}


@pytest.fixture
def changed(run_file: Callable[..., Path]) -> Changed:
    """The tiny run file as a mapping, with two epochs and other changes."""

    def make(changes: dict[str, Any] | None = None) -> dict[str, Any]:
        file = run_file({"train.epochs": 2, **(changes or {})})
        tree: dict[str, Any] = yaml.safe_load(file.read_text())
        file.unlink()
        return tree

    return make


class SignalAt:
    """An observer that sends this process a signal at a step."""

    def __init__(self, step: int, number: signal.Signals = signal.SIGINT) -> None:
        self.step = step
        self.number = number

    def observe(self, event: object) -> None:
        if isinstance(event, StepDone) and event.step == self.step:
            signal.raise_signal(self.number)

    def close(self) -> None:
        pass


def same_weights(first: Fitted, second: Fitted) -> bool:
    ours, theirs = first.model.net.state_dict(), second.model.net.state_dict()
    assert ours.keys() == theirs.keys()
    return all(torch.equal(ours[name], theirs[name]) for name in ours)


def without_times(history: list[dict[str, object]]) -> list[dict[str, object]]:
    return [{k: v for k, v in row.items() if k not in TIMES} for row in history]


@pytest.mark.parametrize(
    "changes",
    [
        {"train.epochs": 3, "train.optimizer.lr": 0.3},  # the second epoch is not the best
        {"train.ema": {"decay": 0.9}},
        {"train.recalibrate": True},
        {"data.split.validation": None},
        {"data.split.validation": None, "train.recalibrate": True},
        {"data.test_images": 0},
    ],
    ids=str,
)
def test_without_a_folder_the_result_is_that_of_a_run(
    changed: Changed, changes: dict[str, Any]
) -> None:
    tree = changed(changes)
    run = cnntrain.fit(tree, out="run", quiet=True)
    free = cnntrain.fit(tree, quiet=True)
    assert same_weights(run, free)
    assert without_times(free.history) == without_times(run.history)
    assert (free.done.best_epoch, free.done.reason) == (run.done.best_epoch, run.done.reason)
    assert free.test == run.test
    assert (free.test is None) == (changes.get("data.test_images") == 0)
    assert free.run is None
    assert run.run == Path("run")
    assert free.model.epoch == run.model.epoch
    assert free.model.classes == run.model.classes


def test_the_history_has_the_columns_of_the_metrics_file(changed: Changed) -> None:
    result = cnntrain.fit(changed(), out="run", quiet=True)
    with Path("run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(result.history) == 2
    for row, kept in zip(rows, result.history, strict=True):
        assert list(row) == list(kept)
        assert float(row["validation_error"]) == kept["validation_error"]


def test_nothing_is_written_and_nothing_printed(
    changed: Changed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tree = changed({"record.tensorboard": True, "record.checkpoint_every": 1})
    cnntrain.fit(tree, quiet=True)
    assert list(tmp_path.rglob("*")) == []
    assert capsys.readouterr() == ("", "")
    cnntrain.fit(tree)
    assert list(tmp_path.rglob("*")) == []
    out, err = capsys.readouterr()
    assert out == ""
    assert "finished at epoch 2" in err
    cnntrain.fit(tree, out="here", quiet=True)
    assert capsys.readouterr() == ("", "")
    assert Path("here/checkpoints/last.pt").is_file()


def settings() -> list[object]:
    cudnn = torch.backends.cudnn
    return [
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        cudnn.deterministic,
        cudnn.benchmark,
        torch.is_grad_enabled(),
        [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
    ]


@pytest.mark.parametrize("out", [None, "run"])
def test_the_process_is_as_it_was_before(changed: Changed, out: str | None) -> None:
    threads = torch.get_num_threads() + 1
    tree = changed({"compute.threads": threads, "compute.deterministic": True})
    before = settings()
    cnntrain.fit(tree, out=out, quiet=True)
    assert settings() == before
    with pytest.raises(DivergedError):
        cnntrain.fit(tree, overrides={"train.optimizer.lr": 1e30}, quiet=True)
    assert settings() == before


def test_what_was_drawn_before_makes_no_difference(changed: Changed) -> None:
    torch.manual_seed(1)
    first = cnntrain.fit(changed(), quiet=True)
    torch.rand(7)
    assert same_weights(first, cnntrain.fit(changed(), quiet=True))
    other = cnntrain.fit(changed(), overrides={"seed": 1}, quiet=True)
    assert not same_weights(first, other)


def test_a_folder_by_name_and_time_or_an_exact_one(changed: Changed) -> None:
    tree = changed({"name": "mine", "train.epochs": 1})
    runs = [cnntrain.fit(tree, out="runs", quiet=True).run for _ in range(2)]
    assert len(set(runs)) == 2
    assert all(run is not None and run.parent == Path("runs/mine") for run in runs)
    exact = cnntrain.fit(tree, out=Path("a/b"), overrides={"train.l1": 0.5}, quiet=True)
    assert exact.run == Path("a/b")
    assert Path("a/b/overrides.txt").read_text() == "train.l1=0.5\n"
    with pytest.raises(UsageError, match="is not empty, and a run is never overwritten"):
        cnntrain.fit(tree, out="a/b", quiet=True)


def test_observers_see_every_step(changed: Changed) -> None:
    class Steps:
        def __init__(self) -> None:
            self.steps: list[int] = []
            self.closed = 0

        def observe(self, event: object) -> None:
            if isinstance(event, StepDone):
                self.steps.append(event.step)

        def close(self) -> None:
            self.closed += 1

    seen = Steps()
    cnntrain.fit(changed(), observers=[seen], quiet=True)
    assert (seen.steps, seen.closed) == ([*range(1, 11)], 1)  # 2 epochs of 5 batches


@pytest.mark.parametrize("step", [3, 8])
def test_ctrl_c_returns_what_there_is(
    changed: Changed, step: int, capsys: pytest.CaptureFixture[str]
) -> None:
    result = cnntrain.fit(changed(), observers=[SignalAt(step)], quiet=True)
    assert result.done.reason == "stopped"
    assert result.done.step == step
    assert len(result.history) == (step - 1) // 5
    assert "Ctrl-C: ending after this batch (again to stop at once)" in capsys.readouterr().err
    assert result.test is None
    assert result.model.net.training is False


def test_a_second_ctrl_c_raises_at_once(changed: Changed) -> None:
    before = settings()
    with pytest.raises(KeyboardInterrupt, match=r"stopped at once by Ctrl-C$"):
        cnntrain.fit(changed(), observers=[SignalAt(3), SignalAt(3)], quiet=True)
    assert settings() == before


def test_sigterm_ends_the_process_once_the_state_is_saved(
    changed: Changed,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    caught: list[bool] = []

    before = signal.signal(
        signal.SIGTERM, lambda *_: caught.append(Path("run/checkpoints/last.pt").is_file())
    )
    try:
        cnntrain.fit(changed(), out="run", observers=[SignalAt(3, signal.SIGTERM)], quiet=True)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert caught == [True]


@pytest.mark.parametrize(
    ("changes", "overrides", "message"),
    [
        (
            {"train.epoch": 3},
            {},
            "<mapping>:28:3: unknown key 'epoch' in train; did you mean 'epochs'?",
        ),
        ({}, {"train.epochs": "two"}, "command line:1:17: 'epochs' must be an integer"),
        ({}, {"trian.epochs": 2}, "command line:1:4: unknown key 'trian'"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(
    changed: Changed, changes: dict[str, Any], overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        cnntrain.fit(changed(changes), overrides=overrides, out="run")
    assert str(caught.value).startswith(message)
    assert not Path("run").exists()


def test_all_that_is_wrong_is_told_at_once(changed: Changed) -> None:
    faults = {"train.epoch": 3, "data.sise": 8, "arch.layers": ["flatten", {"linear": {"out": 7}}]}
    with pytest.raises(ConfigError) as caught:
        cnntrain.fit(changed(faults))
    told = [problem.message for problem in caught.value.problems]
    assert [text for text in told if "7" in text and "3 classes" in text]
    assert [text for text in told if text.startswith(("unknown key 'epoch'", "unknown key 'sise'"))]
    assert len(told) >= 3


def test_a_name_that_is_not_there_has_a_near_match() -> None:
    with pytest.raises(UsageError, match=r"there is no run file 'digts', nor .* mean 'digits'"):
        cnntrain.fit("digts")
