"""What is said of the weights that a run's folder stands for, where they are not its best ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.fit.fit import Outcome
from cnntrain.runs.contents import contents_to_evaluate
from cnntrain.runs.locate import find_run

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]


def notes(path: Path) -> str:
    return "; ".join(contents_to_evaluate(find_run(path)).notes)


def test_weights_that_are_not_the_best_are_named(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    train_tiny(run_file(), out=run, stop=3)
    last = run / "checkpoints" / "last.pt"
    assert notes(run) == (
        "validation has selected no weights yet, so last.pt is used: epoch 0, step 3"
    )
    assert notes(last) == ""
    assert notes(last.with_name("previous.pt")).endswith("previous.pt is not trained yet (step 0)")
    train_tiny(resumed=run)
    assert notes(run) == ""
    (run / "checkpoints" / "best.pt").unlink()
    assert notes(run) == (
        "best.pt is missing (the weights of epoch 4), so last.pt is used: epoch 4, step 20"
    )


def test_a_run_in_its_first_epoch_can_be_opened(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """As it can be looked at while it trains: from its first batch on there is a checkpoint."""

    class Killed(BaseException):
        pass

    class InFirstBatch:
        def observe(self, event: object) -> None:
            if type(event).__name__ == "StepDone":
                assert notes(tmp_path / "runs" / "tiny").endswith("is not trained yet (step 0)")
                raise Killed

        def close(self) -> None:
            pass

    from cnntrain.config.load import load
    from cnntrain.fit.fit import fit

    with pytest.raises(Killed):
        fit(load(run_file()), quiet=True, observers=[InFirstBatch()])
    assert (tmp_path / "runs" / "tiny" / "latest").is_symlink()
