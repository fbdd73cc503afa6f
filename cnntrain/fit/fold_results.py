"""What the folds of a cross-validation came to."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import fmean, stdev
from typing import Literal

from cnntrain.runs.folder import RunFolder
from cnntrain.runs.records import read_results
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task

Figure = Literal["last", "best", "test"]


@dataclass(frozen=True)
class FoldResult:
    """What the run of one fold, numbered from 1, came to.

    `last` is the task's first figure on the fold's images after the last epoch, such as the error;
    `best` that after the best one: too good an estimate, because it was picked on these images.
    """

    fold: int
    run: str
    images: int
    epochs: int
    last: float
    best: float
    best_epoch: int
    test: float | None


@dataclass(frozen=True)
class CrossValidated:
    """A cross-validation, as far as it has come: `results` are of the folds that are done.

    `exit_code` is not 0 where it was stopped.
    """

    path: Path
    folds: int
    results: tuple[FoldResult, ...]
    task: Task = field(default=CLASSIFICATION, compare=False)
    exit_code: int = 0

    @property
    def figure(self) -> str:
        """The task's first one."""
        return self.task.headline[0]

    def text(self, value: float | None) -> str:
        """A value of it as people read it."""
        return self.task.text(self.figure, value)

    def mean(self, figure: Figure) -> float | None:
        """The mean over the folds that are done; None where not all of them have the figure."""
        values = self._values(figure)
        return fmean(values) if values else None

    def deviation(self, figure: Figure) -> float | None:
        """The standard deviation, dividing by one less than their number; None for one alone."""
        values = self._values(figure)
        return stdev(values) if len(values) > 1 else None

    def _values(self, figure: Figure) -> list[float]:
        values = [getattr(result, figure) for result in self.results]
        return values if None not in values else []


def fold_result(number: int, run: RunFolder, figure: str) -> FoldResult:
    """What the run of a fold has written down.

    Raises:
        CheckpointError: it is damaged.
    """
    found = read_results(run)
    number_of, last, best, test = found.number, found.last, found.best, found.test
    return FoldResult(
        fold=number,
        run=run.path.name,
        images=number_of(last, "images"),
        epochs=number_of(last, "epoch"),
        last=number_of(last, figure),
        best=number_of(best, figure),
        best_epoch=number_of(best, "epoch"),
        test=None if test is None else number_of(test, figure),
    )


def as_data(found: CrossValidated) -> dict[str, object]:
    """As summary.json has it."""
    name = found.figure
    names: dict[Figure, str] = {"last": name, "best": f"best_{name}", "test": f"test_{name}"}
    figures = {
        name: {"mean": found.mean(figure), "deviation": found.deviation(figure)}
        for figure, name in names.items()
    }
    plain = (asdict(result) for result in found.results)
    renamed = {str(figure): name for figure, name in names.items()}
    runs = [{renamed.get(key, key): each[key] for key in each} for each in plain]
    return {"folds": found.folds, "done": len(runs), **figures, "runs": runs}
