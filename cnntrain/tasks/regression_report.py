"""What a regression gave: text and data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from cnntrain.show.tables import columns


@dataclass(frozen=True)
class Regression:
    """How far the numbers for a set of images are off, in the units of the data.

    Args:
        images: how many there were, each exactly once.
        loss: mean of the training criterion over the images, of normalised numbers if it is so.
        mae: of each number, the mean absolute error.
        rmse: of each number, the root of the mean squared error.
        r2: of each number, `1 - squared error / variance` (coefficient of determination), 1 at best
            and 0 where always giving their mean is as good; None where they are all the same.
        sample: `(2, M, K)` on the CPU: true and predicted numbers of some images.
        pck: of points, the share that are near enough; None where the numbers are none.
    """

    images: int
    loss: float
    mae: tuple[float, ...]
    rmse: tuple[float, ...]
    r2: tuple[float | None, ...]
    sample: Tensor = field(compare=False)
    pck: float | None = None

    @property
    def mean_r2(self) -> float:
        """Over the numbers that have one; 0 without any."""
        return _mean([each for each in self.r2 if each is not None]) or 0.0

    @property
    def figures(self) -> Mapping[str, float | None]:
        """Means over the numbers."""
        known = [each for each in self.r2 if each is not None]
        figures = {"mae": _mean(self.mae), "rmse": _mean(self.rmse), "r2": _mean(known)}
        return figures if self.pck is None else {"pck": self.pck, **figures}


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def report(result: Regression, names: Sequence[str]) -> str:
    """The figures, and a line for each number."""
    rows = [["number", "MAE", "RMSE", "R2"]]
    for name, mae, rmse, r2 in zip(names, result.mae, result.rmse, result.r2, strict=True):
        rows.append([name, f"{mae:.5g}", f"{rmse:.5g}", _four_places(r2)])
    if len(names) > 1:
        mean = result.figures
        rows.append(["mean", *(f"{mean[key]:.5g}" for key in ("mae", "rmse"))])
        rows[-1].append(_four_places(mean["r2"]))
    points = "" if result.pck is None else f"PCK {result.pck:.2%}  "
    return f"{points}loss {result.loss:.4f}  ({result.images:,} images)\n\n" + columns(
        rows, right=range(1, 4)
    )


def _four_places(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def as_data(result: Regression, names: Sequence[str] = ()) -> dict[str, Any]:
    """The means; with the names of the numbers also those of each."""
    figures = {"images": result.images, "loss": result.loss, **result.figures}
    if not names:
        return figures
    each = zip(names, result.mae, result.rmse, result.r2, strict=True)
    rows = [{"name": n, "mae": mae, "rmse": rmse, "r2": r2} for n, mae, rmse, r2 in each]
    return {**figures, "numbers": rows}
