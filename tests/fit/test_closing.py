"""What follows the last epoch: done by a resumed run if it was cut off there, and never twice."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cnntrain
from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.config.load import load
from cnntrain.core.errors import UsageError
from cnntrain.fit import fit as fitting
from cnntrain.train import EpochDone, EvalDone, RunDone, RunStarted, recalibrate

Differences = Callable[[Path, Path], list[str]]
RunFile = Callable[..., Path]
CLOSING = {"train.epochs": 2, "train.recalibrate": True, "record.tensorboard": True}


class KilledError(BaseException):
    """Ends a training as nothing else does: nobody catches it."""


class At:
    """An observer that does something at the first event of a kind."""

    def __init__(self, is_it: Callable[[Any], bool], do: Callable[[], None]) -> None:
        self.is_it, self.do, self.done = is_it, do, False

    def observe(self, event: object) -> None:
        if not self.done and self.is_it(event):
            self.done = True
            self.do()

    def close(self) -> None:
        pass


def kill() -> None:
    raise KilledError


def interrupt() -> None:
    signal.raise_signal(signal.SIGINT)


def is_last_epoch(event: object) -> bool:
    return isinstance(event, EpochDone) and event.epoch == 2


def is_test(event: object) -> bool:
    return isinstance(event, EvalDone) and event.split == "test"


def is_recalibrated(event: object) -> bool:
    return isinstance(event, EvalDone) and event.split == "recalibrated"


def is_end(event: object) -> bool:
    return isinstance(event, RunDone)


def is_start(event: object) -> bool:
    return isinstance(event, RunStarted)


def rows(run: Path) -> Counter[tuple[str, str, int, int]]:
    text = (run / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in text]
    return Counter((row["type"], row.get("split", ""), row["epoch"], row["step"]) for row in found)


def points(run: Path) -> dict[str, list[tuple[int, float]]]:
    """The curves of validation, test and recalibrated network, and the final figures."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    found = {}
    for folder in sorted((run / "tb").iterdir()):
        reader = EventAccumulator(str(folder))
        reader.Reload()
        for tag in reader.Tags()["scalars"]:
            if folder.name != "train" or tag.startswith("final/best"):
                values = [(point.step, point.value) for point in reader.Scalars(tag)]
                found[f"{folder.name} {tag}"] = values
    return found


def assert_same(run: Path, whole: Path, differences: Differences) -> None:
    for name in ("last.pt", "previous.pt", "best.pt"):
        assert differences(run / "checkpoints" / name, whole / "checkpoints" / name) == []
    assert rows(run) == rows(whole)
    assert points(run) == points(whole)
    ended, other = (json.loads((each / "summary.json").read_text()) for each in (run, whole))
    for name in ("reason", "epoch", "step", "best_epoch", "best_error", "test", "notes"):
        assert ended[name] == other[name]
    assert ended["test"] is not None
    assert {path.name for path in run.rglob("*") if path.suffix == ".tmp"} == set()


@pytest.mark.parametrize("moment", [is_start, is_last_epoch, is_recalibrated, is_test, is_end])
def test_a_run_that_was_killed_is_completed(
    run_file: RunFile,
    differences: Differences,
    tmp_path: Path,
    moment: Callable[[object], bool],
) -> None:
    loaded = load(run_file(CLOSING))
    fitting.fit(loaded, out=tmp_path / "whole", quiet=True)
    run = tmp_path / "run"
    with pytest.raises(KilledError):
        fitting.fit(loaded, out=run, quiet=True, observers=[At(moment, kill)])
    if moment is is_end:  # all was done but to write it down
        (run / "summary.json").unlink()
    (run / "checkpoints" / "previous.pt.tmp").write_text("of a process that was killed")
    assert fitting.resume(run, quiet=True).exit_code == 0
    assert_same(run, tmp_path / "whole", differences)
    with pytest.raises(UsageError, match="has done all of its 2 epochs"):
        fitting.resume(run, quiet=True)


@pytest.mark.parametrize("moment", [is_last_epoch, is_recalibrated])
def test_a_run_that_was_stopped_is_completed(
    run_file: RunFile,
    differences: Differences,
    tmp_path: Path,
    moment: Callable[[object], bool],
) -> None:
    loaded = load(run_file(CLOSING))
    fitting.fit(loaded, out=tmp_path / "whole", quiet=True)
    run = tmp_path / "run"
    stopped = fitting.fit(loaded, out=run, quiet=True, observers=[At(moment, interrupt)])
    assert stopped.exit_code == 130
    assert stopped.done is not None
    assert stopped.done.reason == "stopped"
    assert json.loads((run / "summary.json").read_text())["test"] is None
    assert fitting.resume(run, quiet=True).exit_code == 0
    assert_same(run, tmp_path / "whole", differences)


def test_a_recalibration_is_stopped_after_a_batch(
    run_file: RunFile,
    differences: Differences,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    loaded, run = load(run_file(CLOSING)), tmp_path / "run"
    fitting.fit(loaded, out=tmp_path / "whole", quiet=True)
    passes = []

    def pass_and_interrupt(*arguments: Any) -> None:
        passes.append(forward(*arguments))
        interrupt()

    forward = recalibrate._run
    with monkeypatch.context() as patch:
        patch.setattr(recalibrate, "_run", pass_and_interrupt)
        assert fitting.fit(loaded, out=run, quiet=True).exit_code == 130
    assert len(passes) == 1
    assert fitting.resume(run, quiet=True).exit_code == 0
    assert_same(run, tmp_path / "whole", differences)


def test_a_run_of_an_earlier_version_that_was_stopped_in_its_test_is_tested(
    run_file: RunFile, tmp_path: Path
) -> None:
    """Its summary says "finished", without a test result."""
    loaded, run = load(run_file(CLOSING)), tmp_path / "run"
    fitting.fit(loaded, out=run, quiet=True, observers=[At(is_last_epoch, interrupt)])
    summary = json.loads((run / "summary.json").read_text())
    (run / "summary.json").write_text(json.dumps(summary | {"reason": "finished"}))
    fitting.resume(run, quiet=True)
    assert json.loads((run / "summary.json").read_text())["test"] is not None


def test_of_the_earlier_end_more_epochs_leave_the_results_alone(
    run_file: RunFile, differences: Differences, tmp_path: Path
) -> None:
    loaded, run = load(run_file(CLOSING)), tmp_path / "run"
    fitting.fit(loaded, out=tmp_path / "whole", quiet=True)
    fitting.fit(load(run_file(CLOSING), ["train.epochs=1"]), out=run, quiet=True)
    fitting.resume(run, overrides=["train.epochs=2"], quiet=True)
    before = {"evaluation"}, {"recalibrated", "test"}
    earlier = rows(run) - rows(tmp_path / "whole")
    assert rows(tmp_path / "whole") < rows(run)
    assert ({kind for kind, *_ in earlier}, {split for _, split, *_ in earlier}) == before
    assert {epoch for *_, epoch, _ in earlier} == {1}
    ends = {tag: [point for point in found if point[0] > 5] for tag, found in points(run).items()}
    whole = points(tmp_path / "whole").items()
    assert ends == {tag: [point for point in found if point[0] > 5] for tag, found in whole}
    last = Path("checkpoints", "last.pt")
    assert differences(run / last, tmp_path / "whole" / last) == []


def best_is_epoch_1(run: Path) -> None:
    """As if the first epoch of a run that was stopped in its second had been perfect."""
    for name in ("last.pt", "best.pt"):
        state = load_checkpoint(run / "checkpoints" / name)
        position = state["train"]
        assert isinstance(position, dict)
        position |= {"best_epoch": 1, "best_error": 0.0, "best_loss": 0.0}
        save(run / "checkpoints" / name, state)


def missing(best: Path) -> str:
    best.unlink()
    return "does not exist"


def damaged(best: Path) -> str:
    best.write_bytes(best.read_bytes()[:-900])
    return "is damaged or cut short"


def another(best: Path) -> str:
    state = load_checkpoint(best)
    position = state["train"]
    assert isinstance(position, dict)
    position["epoch"] = 7
    save(best, state)
    return "is of epoch 7"


@pytest.mark.parametrize("lose", [missing, damaged, another])
def test_the_test_result_is_that_of_the_weights_that_were_tested(
    run_file: RunFile,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    lose: Callable[[Path], str],
) -> None:
    """Without best.pt the last weights are tested as they are, and nothing takes its place."""
    loaded, run = load(run_file(CLOSING)), tmp_path / "run"
    in_epoch_2 = lambda event: getattr(event, "step", 0) == 7  # noqa: E731
    fitting.fit(loaded, out=run, quiet=True, observers=[At(in_epoch_2, interrupt)])
    best_is_epoch_1(run)
    best = run / "checkpoints" / "best.pt"
    words = lose(best)
    left = best.read_bytes() if best.exists() else None
    capsys.readouterr()
    assert fitting.resume(run).exit_code == 0
    said = capsys.readouterr().err
    assert (best.read_bytes() if best.exists() else None) == left
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["epoch"], summary["best_epoch"], summary["test"]["epoch"]) == (2, 1, 2)
    [note] = summary["notes"]
    assert words in note
    assert "the weights of epoch 1, which validation selected, are lost" in note
    assert f"note  {note}" in said
    if lose is not another:  # a run that was killed before it kept epoch 7 would reach it again
        assert said.index(f"{best} {words}") < said.index("epoch 2/2"), "said at the start too"
        assert note.partition(": those")[0] in said.partition("epoch 2/2")[0]
    assert Counter({("evaluation", "test", 2, 10): 1}) <= rows(run)
    assert not any(split == "recalibrated" for _, split, _, _ in rows(run))
    tested = cnntrain.load(run / "checkpoints" / "last.pt").evaluate("test").metrics
    assert summary["test"]["loss"] == pytest.approx(tested.loss)
