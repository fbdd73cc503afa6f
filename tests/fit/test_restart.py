"""One command, again and again: it begins a run, continues it, begins it again, or is done."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

import cnntrain
from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.config.load import load
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.fit.fit import Outcome, fit, resume
from cnntrain.fit.folds import cross_validate, cross_validate_or_resume, load_folds
from cnntrain.fit.restart import fit_or_resume
from cnntrain.runs.folder import RunFolder, create_run
from cnntrain.train import RunStarted, StepDone

Differences = Callable[[Path, Path], list[str]]
RunFile = Callable[..., Path]
LAST = Path("checkpoints", "last.pt")


class KilledError(BaseException):
    """Ends a training as nothing else does."""


class KillAt:
    """An observer that ends the process, as far as a test can, at a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def observe(self, event: object) -> None:
        if isinstance(event, StepDone) and event.step == self.step:
            raise KilledError

    def close(self) -> None:
        pass


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def again(run_file: RunFile, said: list[str]) -> Callable[..., Outcome]:
    """The same command: `again({"seed": 1}, "train.epochs=2", out=..., kill=7)`."""

    def start(
        changes: dict[str, Any] | None = None,
        *overrides: str,
        out: Path | None = None,
        kill: int = 0,
    ) -> Outcome:
        del said[:]
        loaded = load(run_file({"train.epochs": 2, **(changes or {})}), overrides)
        return fit_or_resume(
            loaded, out=out, silent=True, observers=[KillAt(kill)], overrides=overrides,
            tell=said.append,
        )  # fmt: skip

    return start


@pytest.mark.parametrize("out", [None, Path("mine")])
def test_the_same_command_until_the_run_is_complete(
    again: Callable[..., Outcome],
    said: list[str],
    run_file: RunFile,
    differences: Differences,
    tmp_path: Path,
    out: Path | None,
) -> None:
    fit(load(run_file({"train.epochs": 2})), out=tmp_path / "whole", silent=True)
    for step in (2, 8):
        with pytest.raises(KilledError):
            again(out=out, kill=step)
    run = again(out=out).run.path
    assert said == [f"continues {run} from epoch 2, step 5"]
    assert differences(run / LAST, tmp_path / "whole" / LAST) == []
    for _ in range(2):
        (run / "lock").write_text("process 1 on here")  # as if it had been killed before it left
        outcome = again(out=out)
        assert not (run / "lock").exists()
        assert said == [f"{run} is complete: nothing is left to do"]
        assert (outcome.run.path, outcome.done, outcome.exit_code) == (run, None, 0)
    place = run.parent if out is None else tmp_path
    left = {"latest"} if out is None else {"whole", "tiny.yaml"}
    assert {path.name for path in place.iterdir()} == {run.name} | left


def test_a_run_that_was_killed_as_its_folder_was_made_begins_again_there(
    again: Callable[..., Outcome], said: list[str], tmp_path: Path
) -> None:
    """With nothing in it, or with all but a checkpoint; `--resume RUN` has the command."""
    whole = again().run.path
    for left in ({"lock", "config.yaml.tmp"}, {"config.yaml", "config.input.yaml", "train.log"}):
        run = tmp_path / "run"
        (run / "checkpoints").mkdir(parents=True)
        (run / "checkpoints" / "last.pt.tmp").write_bytes(b"PK")
        for name in left:
            source = whole / name
            (run / name).write_text(source.read_text() if source.exists() else "")
        file = run / "config.yaml" if "config.yaml" in left else "FILE"
        command = f"cnntrain fit {file} --out {run} --resume auto"
        with pytest.raises(CheckpointError, match=command):
            resume(run)
        assert again(out=run).exit_code == 0
        begins = [f"begins {run} again, which ended before its first checkpoint"]
        assert said == (begins if "config.yaml" in left else [])
        assert {path.name for path in run.iterdir()} == {path.name for path in whole.iterdir()}
        assert not list(run.rglob("*.tmp"))
        shutil.rmtree(run)


def test_what_may_change_is_as_the_file_says_now(
    again: Callable[..., Outcome], said: list[str]
) -> None:
    run = again().run.path
    more = again({"train.epochs": 3, "record.every": 2})
    assert more.done is not None
    assert (more.run.path, more.done.epoch) == (run, 3)
    assert said == [f"continues {run} from epoch 3, step 10"]
    config = load(run / "config.yaml").config
    assert (config.record.every, config.train and config.train.epochs) == (2, 3)
    assert again({"train.epochs": 3}).done is None
    with pytest.raises(UsageError, match=r"cannot end after 1; to train longer: .* --epochs 6"):
        again({"train.epochs": 1})


def test_a_run_of_a_version_whose_transforms_had_fewer_parameters(
    again: Callable[..., Outcome], said: list[str]
) -> None:
    """What `resize` did before it had an interpolation is what it does by default."""
    transforms = {"train": [{"resize": {"size": 12}}], "eval": [{"resize": {"size": 12}}]}
    with pytest.raises(KilledError):
        again({"data.transforms": transforms}, kill=7)
    run = next(Path("runs/tiny").glob("2*"))
    text = (run / "config.yaml").read_text()
    assert ", interpolation: bilinear" in text
    (run / "config.yaml").write_text(text.replace(", interpolation: bilinear", ""))
    state = load_checkpoint(run / LAST)
    state["config"] = state["config"].replace(", interpolation: bilinear", "")
    del state["transforms"]["eval"][0]["interpolation"]
    save(run / LAST, state)
    assert again({"data.transforms": transforms}).run.path == run
    assert said == [f"continues {run} from epoch 2, step 5"]


def test_another_file_is_another_run(
    again: Callable[..., Outcome], said: list[str], tmp_path: Path
) -> None:
    """Also of the same name; a place of its own is never shared."""
    with pytest.raises(KilledError):
        again(kill=7)
    other = again({"train.optimizer": {"name": "sgd", "lr": 0.1}}).run.path
    assert len(list(other.parent.glob("2*"))) == 2
    assert again().run.path != other
    again(out=tmp_path / "mine")
    changes = {"train.optimizer": {"name": "sgd", "lr": 0.1}, "seed": 4, "train.epochs": 3}
    with pytest.raises(UsageError) as caught:
        again(changes, out=tmp_path / "mine")
    assert (
        f"--out {tmp_path / 'mine'} holds a run of another file: seed is 0 there and 4 here, "
        "train.optimizer.lr is 0.05 there and 0.1 here"
    ) in str(caught.value)
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="notes holds something else than a run"):
        again(out=tmp_path / "notes")
    with pytest.raises(UsageError, match=r"tiny\.yaml is a file"):
        again(out=tmp_path / "tiny.yaml")


def test_a_run_without_a_sound_config_is_known_by_its_checkpoint(
    again: Callable[..., Outcome], said: list[str], tmp_path: Path
) -> None:
    with pytest.raises(KilledError):
        again(out=tmp_path / "mine", kill=7)
    (tmp_path / "mine" / "config.yaml").write_bytes(bytes(100))
    assert again(out=tmp_path / "mine").exit_code == 0
    assert said == [f"continues {tmp_path / 'mine'} from epoch 2, step 5"]


def test_the_second_of_two_is_refused(again: Callable[..., Outcome], tmp_path: Path) -> None:
    """Whatever the first has come to: a folder, a checkpoint, or its end."""
    run = tmp_path / "mine"
    with pytest.raises(KilledError):
        again(out=run, kill=7)
    before = (run / LAST).read_bytes()
    made = create_run(root=tmp_path, name="a", out=tmp_path / "made")
    for name in ("config.yaml", "config.input.yaml"):
        shutil.copy(run / name, made.path / name)
    for place in (run, made.path):
        with (
            RunFolder(place).lock(),
            pytest.raises(UsageError, match="is training in"),
        ):
            again(out=place)
        assert (place / "config.yaml").is_file()
    assert (run / LAST).read_bytes() == before


def test_a_folder_that_was_trained_in_meanwhile_is_left_alone(
    again: Callable[..., Outcome], run_file: RunFile, tmp_path: Path
) -> None:
    run = again(out=tmp_path / "mine").run
    before = run.last.read_bytes()
    with pytest.raises(UsageError, match="another process has trained in"):
        fit(load(run_file({"train.epochs": 2})), make=lambda: run, silent=True)
    assert run.last.read_bytes() == before


def test_the_run_file_may_ask_for_it_from_python_too(run_file: RunFile, tmp_path: Path) -> None:
    file = run_file({"train.epochs": 2, "record.resume": "auto"})
    with pytest.raises(KilledError):
        cnntrain.fit(file, out="mine", quiet=True, observers=[KillAt(7)])
    fitted = cnntrain.fit(file, out="mine", quiet=True)
    assert [row["epoch"] for row in fitted.history] == [2]
    with pytest.raises(UsageError, match=r"is complete.*cnntrain\.load\('mine'\)"):
        cnntrain.fit(file, out="mine", quiet=True)


def test_the_newest_run_counts(again: Callable[..., Outcome], run_file: RunFile) -> None:
    """An older one that was cut off is not taken up again once the file has been trained."""
    with pytest.raises(KilledError):
        again(kill=2)
    [old] = Path("runs", "tiny").glob("2*")
    old = old.rename(old.with_name(f"{datetime(2020, 1, 1):%Y%m%d-%H%M%S}-0000"))
    new = fit(load(run_file({"train.epochs": 2})), silent=True).run.path
    assert again().run.path == new


@pytest.mark.parametrize("out", [None, Path("mine")])
def test_a_cross_validation_is_continued(
    run_file: RunFile, differences: Differences, tmp_path: Path, out: Path | None
) -> None:
    short = {"train.epochs": 1, "data.images": 48, "data.split.validation": None}
    files = load_folds(run_file(short), [], folds=3)
    whole = cross_validate(files, out=tmp_path / "whole", quiet=True, tell=lambda _: None)
    said: list[str] = []

    class KillInSecondFold:
        starts = 0

        def observe(self, event: object) -> None:
            self.starts += isinstance(event, RunStarted)
            if self.starts == 2:
                raise KilledError

        def close(self) -> None:
            pass

    with pytest.raises(KilledError):
        cross_validate(files, out=out, quiet=True, tell=said.append, observers=[KillInSecondFold()])
    del said[:]
    found = cross_validate_or_resume(files, out=out, quiet=True, tell=said.append)
    assert found.results == whole.results
    assert said == [
        f"continues {found.path}",
        *(f"fold {n} of 3: {found.path / f'fold{n}'}" for n in (2, 3)),
    ]
    assert cross_validate_or_resume(files, out=out, quiet=True, tell=said.append) == found
    for number in (1, 2, 3):
        fold = Path(f"fold{number}") / LAST
        assert differences(found.path / fold, tmp_path / "whole" / fold) == []
    two = load_folds(run_file(short), [], folds=2)
    with pytest.raises(UsageError, match=r"data\.split\.validation\.of is 3 there and 2 here"):
        cross_validate_or_resume(two, out=found.path, tell=said.append)
