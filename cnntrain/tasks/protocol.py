"""What a network is for: the form of its outputs, what is counted, and what selects the best.

The loop, the recorder and the commands ask the task and never name a figure themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from cnntrain.tasks.image_scores import ImageScores

if TYPE_CHECKING:
    from cnntrain.tasks.quality import Quality


class Result(Protocol):
    """What an evaluation of a whole split gave; a frozen value."""

    @property
    def images(self) -> int:
        """How many were evaluated, each exactly once."""

    @property
    def loss(self) -> float:
        """The mean of the training criterion over them."""

    @property
    def figures(self) -> Mapping[str, float | None]:
        """By name: those of the task first, then others; None where one has no meaning."""


class Sums(Protocol):
    """Sums on the device over the batches of an evaluation."""

    def add(
        self, outputs: Tensor, targets: Tensor, *, loss: Tensor, weight: float | Tensor
    ) -> None:
        """Count one batch; `weight` is what its mean `loss` was divided by."""

    def compute(self) -> Result:
        """The result; the one place that waits for the device."""

    def add_up(self, total: Callable[[Tensor], Tensor]) -> None:
        """Replace each sum by `total(sum)`, that of all processes; once, at the end.

        A task without it evaluates in one process.
        """


class EpochSums(Protocol):
    """Sums on the device over the batches of an epoch of training, saved in checkpoints."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Count one batch, without waiting for the device."""

    def figures(self, images: int) -> dict[str, float]:
        """By name, over so many images; waits for the device."""

    def tensors(self) -> dict[str, Tensor]:
        """The sums themselves, by the names that checkpoints know them by."""


class Task(Protocol):
    """One kind of target, and all that follows from it.

    `@task("name", selects=("error", "loss"))` states what may select the best weights, the default
    first, for the run file's `train.select`.

    Attributes:
        figures: what an evaluation reports besides the loss, in the order of the columns.
        headline: those of them that one line on the terminal has room for.
        train_figures: what an epoch of training reports besides the loss.
    """

    figures: Sequence[str]
    headline: Sequence[str]
    train_figures: Sequence[str]

    def wrong_output(self, shape: tuple[int, ...], classes: int) -> tuple[str, str] | None:
        """Why a network that gives `shape` for an image does not fit, and the remedy."""

    def sums(self, outputs: Tensor) -> Sums:
        """New sums for outputs of this form and device, `(N, ...)`."""

    def epoch_sums(self, device: torch.device) -> EpochSums:
        """New sums for the epochs of a training."""

    def cost(self, result: Result, select: str) -> float:
        """What is least for the best weights, if `select` chooses them."""

    def selected(self, select: str, cost: float) -> float:
        """The figure called `select` where `cost` is that."""

    def summary(self, result: Result) -> Mapping[str, str]:
        """A result in a row of a table: texts by the names of their columns."""

    def report(self, result: Result, classes: Sequence[str]) -> str:
        """A result in full, as text."""

    def draw(self, result: Result, classes: Sequence[str], path: Path) -> None:
        """Draw a result into a PNG."""

    def data(self, result: Result, classes: Sequence[str] = ()) -> dict[str, Any]:
        """A result as JSON takes it: the figures and, with the classes' names, all of it."""

    def guessed(self, result: Result) -> str | None:
        """What guessing would give, where a result is no better than that; it may be left out."""

    def quality(self, answers: ImageScores) -> Quality:
        """What only the probabilities of all images show; it may be left out."""

    def text(self, figure: str, value: float | None) -> str:
        """A figure as people read it."""
