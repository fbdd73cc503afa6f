"""`cnntrain fit FILE --resume auto`: what it prints, and how it ends."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.config.load import load
from cnntrain.fit.fit import fit

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]
SHORT = {"train.epochs": 1}


def test_it_begins_continues_and_is_done(
    cnntrain: Cnntrain, run_file: RunFile, train_tiny: Any
) -> None:
    file = run_file({"train.epochs": 2})
    train_tiny(file, stop=7)
    [run] = Path("runs/tiny").glob("2*")
    answer = cnntrain("fit", file, "--resume", "auto")
    assert (answer.code, answer.out) == (0, f"{run}\n")
    assert answer.err.startswith(f"continues {run} from epoch 2, step 7\n")
    for words in ([], ["-q"]):
        answer = cnntrain("fit", file, "--resume", "auto", *words)
        assert (answer.code, answer.out) == (0, f"{run}\n")
        assert answer.err == f"{run} is complete: nothing is left to do\n"
    answer = cnntrain("fit", file, "--out", "mine", "--resume", "auto", "-q")
    assert (answer.code, answer.out) == (0, "mine\n")
    answer = cnntrain("fit", file, "--resume", "auto", "--out", "mine", "-s", "seed=1")
    assert answer.code == 2
    assert "--out mine holds a run of another file: seed is 0 there and 1 here" in answer.err


def test_the_file_may_ask_for_it(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file(SHORT)
    once = cnntrain("fit", file, "-q", "-s", "record.resume=auto")
    again = cnntrain("fit", file, "-q", "-s", "record.resume=auto")
    assert (once.code, again.code, again.out) == (0, 0, once.out)
    assert "is complete" in again.err
    other = cnntrain("fit", file, "-q", "-s", "record.resume=never")
    assert other.out != once.out


def test_folds_too(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file({**SHORT, "data.images": 48, "data.split.validation": None})
    words = ("fit", file, "--folds", "2", "--resume", "auto", "-q")
    once, again = cnntrain(*words), cnntrain(*words)
    assert once.code == again.code == 0
    assert again.out == once.out
    assert again.err.startswith("continues runs/tiny/")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--resume", "auto"],
            "--resume auto needs the run file; `cnntrain fit FILE --resume auto`",
        ),
        (["FILE", "--resume", "runs/x"], "give either a run file or a run to resume"),
        ([], "give either a run file or a run to resume"),
        (["--resume", "./auto"], "there is no auto"),
        (["--resume", "runs", "--folds", "3"], "cannot be combined with --resume"),
    ],
)
def test_what_contradicts_itself(
    cnntrain: Cnntrain, run_file: RunFile, words: list[str], message: str
) -> None:
    file = run_file(SHORT)
    answer = cnntrain("fit", *(file if word == "FILE" else word for word in words))
    assert answer.code == 2
    assert message in answer.err


def test_a_run_of_the_name_auto_is_continued_by_its_path(
    cnntrain: Cnntrain, run_file: RunFile, train_tiny: Any
) -> None:
    train_tiny(run_file(SHORT), out=Path("auto"), stop=2)
    assert cnntrain("fit", "--resume", "./auto", "-q").code == 0


def test_eval_says_why_it_takes_the_last_weights(cnntrain: Cnntrain, run_file: RunFile) -> None:
    run = fit(load(run_file(SHORT)), silent=True).run
    run.best.unlink()
    answer = cnntrain("eval", run.path)
    assert answer.code == 0
    note = "note: best.pt is missing (the weights of epoch 1), so last.pt is used: epoch 1, step 5"
    assert note in answer.err
    assert answer.out.startswith(f"{run.last} (epoch 1)")


@pytest.mark.parametrize("out", [[], ["--out", "mine"]])
def test_a_signal_before_the_first_checkpoint(
    cnntrain: Cnntrain, run_file: RunFile, monkeypatch: pytest.MonkeyPatch, out: list[str]
) -> None:
    """The folder is there, and nothing in it that could be used; then the same command again."""
    words = ("fit", run_file(SHORT), "--resume", "auto", *out)
    with monkeypatch.context() as patch:
        patch.setattr(
            "cnntrain.fit.to_the_end.make_observers",
            lambda *_, **__: signal.raise_signal(signal.SIGTERM),
        )
        answer = cnntrain(*words)
    assert (answer.code, answer.out) == (143, "")
    said, ended = answer.err.splitlines()
    run = said.removeprefix("nothing was saved yet, so ").removesuffix(" is removed")
    assert not Path(run).exists()
    assert ended == "stopped by SIGTERM"
    assert cnntrain(*words, "-q").code == 0
