"""Two processes begin the same run at once, with `--resume auto`: one trains."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.core.errors import UsageError
from cnntrain.fit.folds import cross_validate_or_resume, load_folds
from cnntrain.fit.restart import find_or_create, fit_or_resume
from cnntrain.model.images import every_split

RunFile = Callable[..., Path]


def runs() -> list[Path]:
    return list(Path("runs/tiny").glob("2*"))


@pytest.mark.parametrize("folds", [False, True])
def test_of_two_that_begin_at_once_the_second_is_refused(
    run_file: RunFile, monkeypatch: pytest.MonkeyPatch, *, folds: bool
) -> None:
    """Neither sees a run when it looks; the first makes its folder while the second prepares."""
    changes = {"data.images": 48, "data.split.validation": None} if folds else {}
    file = run_file(changes)
    files = load_folds(file, [], folds=2) if folds else [load(file)]
    suffix = "-2folds" if folds else ""
    with ExitStack() as first:

        def meanwhile(*arguments: Any, **others: Any) -> Any:
            run = find_or_create(files[0], out=None, suffix=suffix)
            first.enter_context(run.lock())
            return original(*arguments, **others)

        place = "cnntrain.fit.folds.every_split" if folds else "cnntrain.fit.fit.prepare"
        original = every_split if folds else prepare
        monkeypatch.setattr(place, meanwhile)
        second = (
            partial(cross_validate_or_resume, files, tell=lambda _: None)
            if folds
            else partial(fit_or_resume, files[0])
        )
        with pytest.raises(UsageError, match=r"another process \(process .* is training in"):
            second(quiet=True)
        [run] = runs()
        assert (run / "config.yaml").is_file()
    assert {path.name for path in run.parent.iterdir()} == {run.name}


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python 3.12 and later
def test_many_that_begin_at_once_share_one_folder(run_file: RunFile) -> None:
    loaded = load(run_file({}))
    pids = []
    for _ in range(8):
        pids.append(os.fork())
        if pids[-1] == 0:
            try:
                find_or_create(loaded, out=None)
            finally:
                os._exit(0)
    for pid in pids:
        os.waitpid(pid, 0)
    assert len(runs()) == 1
