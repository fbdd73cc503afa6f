"""One or several numbers for each image: how far off they are, how much of them is explained."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import PositiveFloat
from cnntrain.show.words import percent, shape_text
from cnntrain.tasks import task
from cnntrain.tasks.answers import Numbers
from cnntrain.tasks.classification import sum_dtype
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.near_points import near_points
from cnntrain.tasks.protocol import Result
from cnntrain.tasks.regression_report import Regression, as_data, report
from cnntrain.tasks.targets import Targets

NEAR = 0.25
"""Of the deviation of a number: as near is near enough to be memorised."""
SAMPLE = 2**16
"""Numbers of each output that are kept to be drawn, spread evenly over the images."""


@task(
    "regression",
    form="numbers",
    loss="mse",
    selects=("loss", "mae", "rmse", "r2", "pck"),
    needs={"pck": "pck"},
)
class Regress:
    """Each image has one or several numbers, such as an angle, or the places of points.

    Args:
        normalize: learn (number - mean) / deviation of the training images; whatever is reported is
            in the units of the data all the same, but for the loss.
        pck: the numbers are points, x and y of each; the figure pck is the share of them that are
            off by at most this share of the larger side of the box around an image's points.
    """

    figures: Sequence[str] = ("mae", "rmse", "r2")
    headline: Sequence[str] = ("mae", "r2")
    train_figures: Sequence[str] = ("mae",)

    def __init__(
        self, *, normalize: bool = True, pck: PositiveFloat | None = None, targets: Targets
    ) -> None:
        self.near = pck
        if pck is not None:
            self.figures, self.headline = ("pck", *self.figures), ("pck", "mae")
        self.mean = torch.tensor(targets.mean)
        self.scale = torch.tensor(targets.std)
        if not normalize or not targets.mean:  # without training images nothing is normalised
            self.mean, self.scale = torch.zeros(1), torch.ones(1)
        self._units = (self.mean, self.scale)
        self.centre = torch.tensor(targets.mean or (0.0,))
        self.spread = torch.tensor(targets.std or (1.0,))

    def wrong_output(self, shape: tuple[int, ...], classes: int) -> tuple[str, str] | None:
        """One output per number is right; of points there must be two or more."""
        if self.near is not None and (classes % 2 or classes < 4):
            message = (
                f"learns {classes} numbers, but points have an x and a y each, and are several"
            )
            return message, "correct data.number_columns, or remove task.pck"
        if shape == (classes,):
            return None
        if len(shape) == 1:
            message = f"gives {shape[0]} outputs, but each image has {classes} to be learnt"
            return message, "end with `- linear: {out: $num_classes}`, the number of numbers"
        message = f"ends in {shape_text(shape)}, not in one output per number"
        return message, "end with `- flatten` and `- linear: {out: $num_classes}`"

    def criterion(self, loss: Criterion) -> Criterion:
        """The loss of normalised numbers."""
        return _Normalised(loss, self.mean, self.scale)

    def answers(self, outputs: Tensor) -> Tensor:
        """In the units of the data."""
        if self._units[0].device != outputs.device:  # once, because the device waits for it
            self._units = (self.mean.to(outputs.device), self.scale.to(outputs.device))
        mean, scale = self._units
        return outputs.float() * scale + mean

    def judged(self, answers: Tensor, targets: Tensor, *, criterion: Criterion) -> Result:
        """The result of mean numbers; their loss is the criterion's of them."""
        outputs = (answers - self.mean) / self.scale
        sums = self.sums(outputs)
        loss, weight = criterion(outputs, targets), criterion.weight(targets)
        sums.add(outputs, targets, loss=loss, weight=weight)
        return sums.compute()

    def said(self, answers: Tensor, names: Sequence[str], *, top: int) -> Sequence[Numbers]:
        """The numbers by name, all of them."""
        del top  # they are no ranking
        return [Numbers(tuple(zip(names, row, strict=True))) for row in answers.tolist()]

    def missed(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Those with a number that is off by more than a quarter of the deviation."""
        return ((self.answers(outputs) - targets).abs() > NEAR * self.spread).any(dim=1)

    def sums(self, outputs: Tensor) -> NumberSums:
        """For outputs `(N, K)`."""
        return NumberSums(self.answers, centre=self.centre, none=outputs[:0], near=self.near)

    def epoch_sums(self, device: torch.device) -> DistanceSums:
        """Distances, in training mode, augmentation and all."""
        return DistanceSums(self.answers, device)

    def cost(self, result: Result, select: str) -> float:
        """The figure itself; of R2 what is missing to 1."""
        assert isinstance(result, Regression)
        if select in ("r2", "pck"):
            return 1.0 - (result.mean_r2 if select == "r2" else result.pck or 0.0)
        return result.loss if select == "loss" else float(result.figures[select] or 0.0)

    def selected(self, select: str, cost: float) -> float:
        """The figure itself."""
        return 1.0 - cost if select in ("r2", "pck") else cost

    def summary(self, result: Result) -> Mapping[str, str]:
        """Mean absolute error, R2 and loss."""
        assert isinstance(result, Regression)
        names = {"MAE": "mae", "RMSE": "rmse", "R2": "r2"}
        names |= {} if result.pck is None else {"PCK": "pck"}
        texts = {name: self.text(key, result.figures[key]) for name, key in names.items()}
        return {**texts, "loss": f"{result.loss:.4f}"}

    def report(self, result: Result, classes: Sequence[str]) -> str:
        """The figures, and those of each number."""
        assert isinstance(result, Regression)
        return report(result, classes)

    def draw(self, result: Result, classes: Sequence[str], path: Path) -> None:
        """What is predicted over what is true."""
        # here, not above: it imports matplotlib
        from cnntrain.tasks.scatter import draw_scatter

        assert isinstance(result, Regression)
        draw_scatter(result, names=classes, path=path)

    def data(self, result: Result, classes: Sequence[str] = ()) -> dict[str, Any]:
        """The figures and, with the names, those of each number."""
        assert isinstance(result, Regression)
        return as_data(result, classes)

    def guessed(self, result: Result) -> str | None:
        """That always giving the mean is no worse."""
        assert isinstance(result, Regression)
        if result.mean_r2 > 0:
            return None
        return f"R2 is {result.mean_r2:.3g}: always giving the mean of these images has 0"

    def about(self, names: Sequence[str]) -> dict[str, Any]:
        """How numbers are made of the outputs."""
        scale, mean = (each.expand(len(names)).tolist() for each in (self.scale, self.mean))
        return {"numbers": list(names), "number_is": "output * scale + mean",
                "scale": scale, "mean": mean}  # fmt: skip

    def text(self, figure: str, value: float | None) -> str:
        """Four digits; the share of points in percent."""
        if figure == "pck":
            return percent(value)
        return "-" if value is None else f"{value:.4f}" if figure == "r2" else f"{value:.4g}"


@dataclass(eq=False)
class _Normalised:
    """A loss of `(targets - mean) / scale`."""

    loss: Criterion
    mean: Tensor
    scale: Tensor

    def __call__(self, outputs: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss of `(N, K)` outputs and targets."""
        if self.mean.device != outputs.device:  # once
            self.mean, self.scale = self.mean.to(outputs.device), self.scale.to(outputs.device)
        return self.loss(outputs, (targets - self.mean) / self.scale)

    def weight(self, targets: Tensor, /) -> float | Tensor:
        """That of the loss."""
        return self.loss.weight(targets)

    def plain(self, *, weighted: bool = False) -> Criterion:
        """Of the plain loss."""
        plain = self.loss.plain(weighted=weighted)
        return self if plain is self.loss else _Normalised(plain, self.mean, self.scale)


class DistanceSums:
    """Absolute errors in an epoch, in the units of the data, counted on the device.

    Args:
        answers: makes numbers of outputs.
        device: where they are.
    """

    def __init__(self, answers: Callable[[Tensor], Tensor], device: torch.device) -> None:
        self._answers = answers
        self._distance = torch.zeros((), dtype=sum_dtype(device), device=device)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Outputs and targets `(N, K)`; of several numbers the mean distance counts."""
        self._distance += (self._answers(outputs) - targets).abs().mean(dim=1).sum()

    def figures(self, images: int) -> dict[str, float]:
        """The mean absolute error."""
        return {"mae": float(self._distance) / images if images else float("nan")}

    def tensors(self) -> dict[str, Tensor]:
        """The sum, 0-d."""
        return {"distance": self._distance}


class NumberSums:
    """Sums of each number, in the units of the data, with no host synchronisation per batch.

    Args:
        answers: makes numbers of outputs.
        centre: `(K,)`, about the mean of the targets: sums of squares are taken around it, so that
            their difference is exact.
        none: outputs of no image, `(0, K)`.
        near: of points, see `Regress`; None where the numbers are none.
    """

    def __init__(
        self,
        answers: Callable[[Tensor], Tensor],
        *,
        centre: Tensor,
        none: Tensor,
        near: float | None = None,
    ) -> None:
        device = none.device
        self._answers = answers
        self._centre = centre.to(device)
        self._images = 0
        # of absolute errors, of squared errors, of targets and of their squares
        self._sums = torch.zeros(4, none.shape[1], dtype=sum_dtype(device), device=device)
        self._near = near
        self._found = torch.zeros((), dtype=self._sums.dtype, device=device)
        self._loss = torch.zeros((), dtype=self._sums.dtype, device=device)
        self._weight = torch.zeros_like(self._loss)
        self._kept: list[Tensor] = []
        self._every = 1

    def add(
        self, outputs: Tensor, targets: Tensor, *, loss: Tensor, weight: float | Tensor
    ) -> None:
        """Count outputs `(N, K)` with targets `(N, K)`."""
        self._images += len(targets)
        self._loss += loss.to(self._loss.dtype) * weight
        self._weight += weight
        numbers = self._answers(outputs)
        errors = (numbers - targets).to(self._sums.dtype)
        centred = (targets - self._centre).to(self._sums.dtype)
        terms = (errors.abs(), errors.square(), centred, centred.square())
        self._sums += torch.stack([each.sum(dim=0) for each in terms])
        if self._near is not None:
            near = near_points(numbers, targets, share=self._near)
            self._found += near.to(self._found.dtype).mean(dim=1).sum()
        self._kept.append(torch.stack([targets, numbers])[:, :: self._every])
        if sum(each.shape[1] for each in self._kept) > SAMPLE:
            self._kept = [torch.cat(self._kept, dim=1)[:, ::2]]
            self._every *= 2

    def add_up(self, total: Callable[[Tensor], Tensor]) -> None:
        """Have the sums of all processes; what is drawn is of the images of this one."""
        self._images = int(total(torch.tensor(self._images, device=self._loss.device)))
        for sums in (self._sums, self._loss, self._weight, self._found):
            total(sums)

    def compute(self) -> Regression:
        """The result; the one place that waits for the device."""
        if self._images == 0:
            raise DataError("no images to evaluate", remedy="the split is empty")
        absolute, squared, values, squares = self._sums.cpu().double() / self._images
        variances = squares - values.square()
        r2 = 1 - squared / variances
        return Regression(
            images=self._images,
            loss=float(self._loss / self._weight),
            mae=tuple(absolute.tolist()),
            rmse=tuple(squared.sqrt().tolist()),
            r2=tuple(a if v > 0 else None for a, v in zip(r2.tolist(), variances, strict=True)),
            sample=torch.cat(self._kept, dim=1).cpu(),
            pck=None if self._near is None else float(self._found) / self._images,
        )
