"""Cross-validation: every training image validated once, each fold a run like any other."""

from __future__ import annotations

import json
import shutil
import signal
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.assemble.translation import open_run_data
from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError, UsageError
from cnntrain.data.read import open_splits
from cnntrain.fit.folds import (
    CrossValidated,
    cross_validate,
    is_cross_validation,
    load_folds,
    resume_folds,
)
from cnntrain.runs.locate import find_run
from cnntrain.train import StepDone

RunFile = Callable[..., Path]
Differences = Callable[[Path, Path], list[str]]
SHORT = {"train.epochs": 2, "data.images": 48, "data.split.validation": None}


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def start(run_file: RunFile, said: list[str]) -> Callable[..., CrossValidated]:
    def go(changes: dict[str, Any] | None = None, **options: Any) -> CrossValidated:
        files = load_folds(run_file({**SHORT, **(changes or {})}), [], folds=3)
        return cross_validate(files, quiet=True, tell=said.append, **options)

    return go


def rows(run: Path, split: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row for row in found if row["type"] == "evaluation" and row["split"] == split]


def test_every_training_image_is_validated_exactly_once(run_file: RunFile) -> None:
    """The images of three folds are those of the whole set, each once; the rest is learnt from."""
    files = load_folds(
        run_file({**SHORT, "data.transforms": {"train": [], "eval": []}}), [], folds=3
    )
    parameters = files[0].config.data.parameters
    whole = open_splits("synthetic", parameters=parameters).train
    everything = sorted(image.numpy().tobytes() for image in whole.images)
    assert len(set(everything)) == 48
    validated: list[bytes] = []
    for loaded in files:
        data = open_run_data(loaded, device="cpu")
        assert data.validation is not None
        held, learnt = (
            [(image * 255).round().byte().contiguous().numpy().tobytes()
             for batch in loader.batches(1) for image in batch.images]
            for loader in (data.validation, data.train)
        )  # fmt: skip
        assert sorted(held + learnt) == everything
        assert data.counts["validation"] in ((6, 5, 5), (5, 6, 5), (5, 5, 6))
        validated += held
    assert sorted(validated) == everything


def test_results_mean_and_deviation(start: Callable[..., CrossValidated], said: list[str]) -> None:
    found = start()
    assert found.exit_code == 0
    assert found.path.name.endswith("-3folds")
    assert found.path.parent == Path("runs") / "tiny"
    assert [line.split(":")[0] for line in said] == [f"fold {n} of 3" for n in (1, 2, 3)]
    for number, result in enumerate(found.results, start=1):
        run = found.path / f"fold{number}"
        errors = [row["error"] for row in rows(run, "validation")]
        assert len(errors) == result.epochs == 2
        assert result.last == errors[-1]
        assert result.best == min(errors)
        assert errors[result.best_epoch - 1] == min(errors)
        assert result.test == rows(run, "test")[0]["error"]
        assert result.images == 16
        assert find_run(run).to_evaluate() == run / "checkpoints" / "best.pt"
    errors = [result.last for result in found.results]
    assert found.mean("last") == pytest.approx(sum(errors) / 3)
    assert found.deviation("last") == pytest.approx(statistics.stdev(errors))
    summary = json.loads((found.path / "summary.json").read_text())
    assert summary["folds"] == summary["done"] == 3
    assert summary["error"] == {"mean": found.mean("last"), "deviation": found.deviation("last")}
    assert [run["error"] for run in summary["runs"]] == errors


def test_a_fold_is_the_run_that_its_key_says(
    start: Callable[..., CrossValidated], run_file: RunFile, train_tiny: Any,
    differences: Differences, tmp_path: Path,
) -> None:  # fmt: skip
    """Fold 2 alone, by `data.split.validation: {fold: 2, of: 3}`, to the last bit."""
    found = start()
    alone = run_file({**SHORT, "data.split.validation": {"fold": 2, "of": 3}})
    train_tiny(alone, out=tmp_path / "alone")
    last = Path("checkpoints") / "last.pt"
    assert differences(found.path / "fold2" / last, tmp_path / "alone" / last) == []


class CtrlC:
    """Presses it at a step, counted over all folds."""

    def __init__(self, step: int) -> None:
        self.left = step

    def observe(self, event: object) -> None:
        if isinstance(event, StepDone):
            self.left -= 1
            if self.left == 0:
                signal.raise_signal(signal.SIGINT)

    def close(self) -> None:
        pass


def test_the_run_file_of_a_folder_downloads_nothing_and_names_nobody(
    run_file: Callable[..., Path],
) -> None:
    file = run_file(SHORT)
    [own, *_] = load_folds(file, [], folds=3)
    assert (own.may_download, own.names_observers) == (True, True)
    for loaded in load_folds(file, [], folds=3, is_of_a_run=True):
        assert (loaded.may_download, loaded.names_observers) == (False, False)
    [named, *_] = load_folds(file, ["record.observers=[]"], folds=3, is_of_a_run=True)
    assert (named.may_download, named.names_observers) == (False, True)


@pytest.mark.parametrize("step", [1, 7], ids=["in the first epoch", "in the second fold"])
def test_a_stopped_one_goes_on_where_it_stopped(
    start: Callable[..., CrossValidated], differences: Differences, said: list[str], tmp_path: Path,
    step: int,
) -> None:  # fmt: skip
    whole = start(out=tmp_path / "whole")
    path = tmp_path / "parts"
    found = start(out=path, observers=[CtrlC(step)])
    assert found.exit_code == 130
    assert len(found.results) == (0 if step == 1 else 1)
    remedy = f"resume it with cnntrain fit --resume {path}"
    assert said[-1] == f"stopped in fold {step // 4 + 1}; {remedy}"
    assert is_cross_validation(path)
    del said[:]
    found = resume_folds(path, quiet=True, tell=said.append)
    assert [line.split(":")[0] for line in said] == [
        f"fold {n} of 3" for n in range(step // 4 + 1, 4)
    ]
    assert found.results == whole.results
    for number in (1, 2, 3):
        last = Path(f"fold{number}") / "checkpoints" / "last.pt"
        assert differences(tmp_path / "whole" / last, path / last) == []


def test_a_fold_that_was_killed_early_or_late_is_trained_anew(
    start: Callable[..., CrossValidated], said: list[str]
) -> None:
    whole = start()
    early, late = whole.path / "fold2", whole.path / "fold3"
    shutil.rmtree(early / "checkpoints")  # killed before its first checkpoint
    (early / "checkpoints").mkdir()
    (early / "summary.json").unlink()
    (late / "summary.json").unlink()  # killed between its last epoch and its end
    del said[:]
    assert resume_folds(whole.path, quiet=True, tell=said.append) == whole
    assert len(said) == 2
    del said[:]
    assert resume_folds(whole.path, quiet=True, tell=said.append) == whole
    assert said == []


def test_what_contradicts_the_folds_is_refused(run_file: RunFile, tmp_path: Path) -> None:
    file = run_file(SHORT)
    with pytest.raises(UsageError, match=r"--folds .*-s data\.split\.validation=0\.1"):
        load_folds(file, ["data.split.validation=0.1"], folds=3)
    with pytest.raises(UsageError, match=r"-s train\.epochs cannot change"):
        resume_folds(tmp_path, overrides=["train.epochs=9"], tell=print)
    for wrong in ({"fold": 4, "of": 3}, {"fold": 1, "of": 1}, {"fold": 1}, {"fold": 0, "of": 3}):
        with pytest.raises(
            ConfigError, match=r"fold: 1, of: 3|'of' must be|'of' is missing|'fold' must be"
        ):
            load(run_file({**SHORT, "data.split.validation": wrong}))
    files = load_folds(run_file({**SHORT, "data.images": 2}), [], folds=3)
    with pytest.raises(ConfigError, match="3 folds cannot be made of 2 training images"):
        cross_validate(files, quiet=True, tell=lambda _: None)
    assert not Path("runs").exists(), "nothing is left behind"


def test_its_folder_is_no_run_but_names_its_folds(start: Callable[..., CrossValidated]) -> None:
    found = start()
    with pytest.raises(UsageError, match="add a name: fold1, fold2, fold3"):
        find_run(found.path)
    assert not is_cross_validation(found.path / "fold1")
    assert is_cross_validation(found.path)


def test_folds_of_a_fine_tuning_start_from_the_same_weights(
    start: Callable[..., CrossValidated], run_file: RunFile, train_tiny: Any, tmp_path: Path
) -> None:
    first = tmp_path / "first"
    train_tiny(run_file({**SHORT, "data.pattern_seed": 1}, name="first"), out=first)
    found = start({"finetune": {"weights": {"run": str(first)}, "freeze": ["conv1"]}})
    assert len(found.results) == 3
    before = load_checkpoint(first / "checkpoints" / "last.pt")["model"]
    for result in found.results:
        after = load_checkpoint(found.path / result.run / "checkpoints" / "last.pt")["model"]
        assert torch.equal(after["conv1.weight"], before["conv1.weight"])
        assert not torch.equal(after["output.weight"], before["output.weight"])
