"""What a network is for: what it learns, what it gives, what is counted and selects the best.

The loop, the recorder and the commands ask the task and never name a figure themselves.

**Targets.** The decorator states their form: `@task("regression", form="numbers", loss="mse")`. A
batch has them as `cnntrain.tasks.targets` says, in the units of the data. What the training images
say of them (names, means, deviations) is filled in where `__init__` asks for `targets: Targets`,
and kept in the checkpoint. The data must have targets of that form, and the loss must state that it
`fits` it; the run file is refused at its line where that is not so. The form `image` is for tasks
whose target is made of the image: the loaders put it in the place of what the data have.

**Answers.** The network's outputs become answers (`answers`: probabilities, numbers in the units of
the data), which may be averaged over views and networks (`together`), judged (`judged`) and said
(`said`). Methods that may be left out have the meaning that `cnntrain.tasks.answers` gives them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.image_scores import ImageScores

if TYPE_CHECKING:
    from cnntrain.tasks.answers import SaidOfImage
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

        Sums that keep values of each image have `gather(gathered)` in its place, where
        `gathered(values)` are the rows of all processes. A task without either evaluates in one
        process.
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
    first, for the run file's `train.select`; `form` is that of the targets, `classes` where it is
    left out, and `loss` what is minimised where the run file names none. `Optional` has more.

    Attributes:
        figures: what an evaluation reports besides the loss, in the order of the columns.
        headline: those of them that one line on the terminal has room for.
        train_figures: what an epoch of training reports besides the loss.
    """

    figures: Sequence[str]
    headline: Sequence[str]
    train_figures: Sequence[str]

    def wrong_output(self, shape: tuple[int, ...], classes: int) -> tuple[str, str] | None:
        """Why a network that gives `shape` for an image does not fit, and the remedy.

        `classes` is the number of names of the targets: what `$num_classes` is in architectures.
        """

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

    def data(self, result: Result, classes: Sequence[str] = ()) -> dict[str, Any]:
        """A result as JSON takes it: the figures and, with the classes' names, all of it."""

    def text(self, figure: str, value: float | None) -> str:
        """A figure as people read it."""


class Optional(Protocol):
    """What a task may have besides; each may be left out, see `cnntrain.tasks.answers`."""

    def wrong_image(
        self, shape: tuple[int, ...], image: tuple[int, int, int]
    ) -> tuple[str, str] | None:
        """As `wrong_output`, which is not asked then, by the shape `(C, H, W)` of the input."""

    def guessed(self, result: Result) -> str | None:
        """What guessing would give, where a result is no better than that."""

    def quality(self, answers: ImageScores) -> Quality:
        """What only the probabilities of all images show."""

    def draw(self, result: Result, classes: Sequence[str], path: Path) -> None:
        """Draw a result into a PNG."""

    def criterion(self, loss: Criterion) -> Criterion:
        """A loss as it is applied to outputs and targets of this task."""

    def targets_in(self, outputs: Tensor) -> Tensor:
        """The targets, where the network gives them itself and those of the data are not used."""

    def answers(self, outputs: Tensor) -> Tensor:
        """What outputs `(N, ...)` mean, to be averaged."""

    def together(self, answers: Sequence[Tensor]) -> Tensor:
        """The mean of answers to the same images."""

    def judged(self, answers: Tensor, targets: Tensor, *, criterion: Criterion) -> Result:
        """The result of answers that are means."""

    def decisions(self, answers: Tensor) -> Tensor:
        """What is decided for each image, in the form of the targets; numbers decide nothing."""

    def said(self, answers: Tensor, names: Sequence[str], *, top: int) -> Sequence[SaidOfImage]:
        """What is said of each image."""

    def missed(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """`(N,)` bool: the images that are not learnt yet, where a few are to be memorised."""

    def about(self, names: Sequence[str]) -> Mapping[str, Any]:
        """What exported files say of their output: plain data."""
