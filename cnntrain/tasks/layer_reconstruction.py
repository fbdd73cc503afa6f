"""What a layer gives is to be given back: the stages of greedy layer-wise training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from cnntrain.core.errors import DataError
from cnntrain.show.words import shape_text
from cnntrain.tasks import task
from cnntrain.tasks.answers import Numbers
from cnntrain.tasks.classification import sum_dtype
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Result
from cnntrain.tasks.targets import Targets

SAMPLE = 8
"""Images whose layers are kept to be drawn."""


@dataclass(frozen=True)
class GivenBack:
    """How far what is given back is off.

    Args:
        images: how many there were, each exactly once.
        loss: mean of the training criterion over the images.
        mse: mean squared error of a unit.
        explained: share of the units' variance over the images; 1 at best, 0 for each unit's mean.
        sample: `(2, M, ...)` on the CPU: outputs and targets of the first images.
    """

    images: int
    loss: float
    mse: float
    explained: float | None
    sample: Tensor = field(compare=False)

    @property
    def figures(self) -> Mapping[str, float | None]:
        """By name."""
        return {"mse": self.mse, "explained": self.explained}


@task(
    "layer_reconstruction",
    form="image",
    loss="mse",
    selects=("loss", "mse", "explained"),
    own_targets=True,
)
class ReconstructLayer:
    """The network gives back what one of its own layers gives: it ends in `with_target`.

    The layer belongs to what is frozen, such as the earlier layers of a stack that is trained layer
    by layer (`pretrain:`); the images of the data are the input, and no other target is used.
    """

    figures: Sequence[str] = ("mse", "explained")
    headline: Sequence[str] = ("explained",)
    train_figures: Sequence[str] = ("mse",)

    def __init__(self, *, targets: Targets) -> None:
        del targets  # what the layer gives has no names

    def wrong_output(self, shape: tuple[int, ...], classes: int) -> tuple[str, str] | None:
        """An output with its target, (2, ...), is right."""
        del classes
        if len(shape) > 1 and shape[0] == 2:
            return None
        message = f"gives {shape_text(shape)}, but here it is to give an output with its target"
        return message, "end with `- {with_target: {}, from: [output, target]}`"

    def criterion(self, loss: Criterion) -> Criterion:
        """The loss between the two halves."""
        return _OfPair(loss)

    def targets_in(self, outputs: Tensor) -> Tensor:
        """The half that is the target, `(N, ...)`."""
        return outputs[:, 1]

    def said(self, answers: Tensor, names: Sequence[str], *, top: int) -> Sequence[Numbers]:
        """The mean squared error of each image."""
        del names, top
        return [Numbers((("mse", value),)) for value in _squared(answers).cpu().tolist()]

    def sums(self, outputs: Tensor) -> UnitSums:
        """For outputs `(N, 2, ...)`."""
        return UnitSums(outputs)

    def epoch_sums(self, device: torch.device) -> SquareSums:
        """In training mode."""
        return SquareSums(device)

    def cost(self, result: Result, select: str) -> float:
        """The figure itself; what is not explained."""
        assert isinstance(result, GivenBack)
        if select == "loss":
            return result.loss
        value = float(result.figures[select] or 0.0)
        return 1 - value if select == "explained" else value

    def selected(self, select: str, cost: float) -> float:
        """The figure itself."""
        return 1 - cost if select == "explained" else cost

    def summary(self, result: Result) -> Mapping[str, str]:
        """Explained variance, squared error and loss."""
        assert isinstance(result, GivenBack)
        texts = {key: self.text(key, value) for key, value in result.figures.items()}
        return {"explained": texts["explained"], "MSE": texts["mse"], "loss": f"{result.loss:.4f}"}

    def report(self, result: Result, classes: Sequence[str]) -> str:
        """The figures."""
        del classes
        texts = "  ".join(f"{name} {text}" for name, text in self.summary(result).items())
        return f"{texts}  ({result.images:,} images)"

    def draw(self, result: Result, classes: Sequence[str], path: Path) -> None:
        """What was to be given back and what was, for some images; each unit or map a tile."""
        # here, not above: it imports matplotlib
        from cnntrain.tasks.image_rows import draw_images

        del classes
        assert isinstance(result, GivenBack)
        draw_images(torch.stack(self.as_pictures(result.sample.transpose(0, 1))), path=path)

    def as_pictures(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Targets and outputs as grey images `(N, 1, H, W)` from 0 to 1, the targets' range.

        Args:
            pairs: `(N, 2, units)`, or `(N, 2, maps, height, width)`; each is a tile.
        """
        outputs, targets = pairs.float().cpu().unbind(dim=1)
        low, high = float(targets.min()), float(targets.max())
        scaled = ((each - low) / ((high - low) or 1.0) for each in (targets, outputs))
        target, output = (_tiled(each.clamp(0, 1)) for each in scaled)
        return target, output

    def data(self, result: Result, classes: Sequence[str] = ()) -> dict[str, Any]:
        """The figures."""
        del classes
        return {"images": result.images, "loss": result.loss, **result.figures}

    def about(self, names: Sequence[str]) -> dict[str, Any]:
        """What the two halves of the output are."""
        del names
        return {"halves": ["output", "target"]}

    def text(self, figure: str, value: float | None) -> str:
        """The explained variance in percent."""
        if value is None:
            return "-"
        return f"{value:.2%}" if figure == "explained" else f"{value:.4g}"


@dataclass(frozen=True, eq=False)
class _OfPair:
    """A loss between outputs and targets that are the halves of a network's output."""

    loss: Criterion

    def __call__(self, logits: Tensor, targets: Tensor, /) -> Tensor:
        """0-d mean loss of `(N, 2, ...)`; targets are used where they are guessed, `(N, ...)`."""
        if logits.shape == targets.shape:
            return self.loss(logits, targets)
        return self.loss(logits[:, 0], logits[:, 1])

    def weight(self, targets: Tensor, /) -> float | Tensor:
        """N."""
        return float(targets.shape[0])

    def plain(self, *, weighted: bool = False) -> Criterion:
        """The plain loss, applied in the same way."""
        plain = self.loss.plain(weighted=weighted)
        return self if plain is self.loss else _OfPair(plain)


class SquareSums:
    """Mean squared errors in an epoch, counted on the device."""

    def __init__(self, device: torch.device) -> None:
        self._squared = torch.zeros((), dtype=sum_dtype(device), device=device)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Outputs `(N, 2, ...)`."""
        del targets
        self._squared += _squared(outputs).sum()

    def figures(self, images: int) -> dict[str, float]:
        """The mean over the images."""
        return {"mse": float(self._squared) / images if images else float("nan")}

    def tensors(self) -> dict[str, Tensor]:
        """The sum, 0-d."""
        return {"squared": self._squared}


class UnitSums:
    """Sums over the images of an evaluation, with no host synchronisation per batch.

    Args:
        outputs: `(N, 2, ...)`, of the form of those that are to be counted.
    """

    def __init__(self, outputs: Tensor) -> None:
        device = outputs.device
        self._images, self._units = 0, math.prod(outputs.shape[2:])
        kind = sum_dtype(device)
        # of squared errors, squared targets, losses and weights; of the targets of each unit
        self._sums = torch.zeros(4, dtype=kind, device=device)
        self._targets = torch.zeros(self._units, dtype=kind, device=device)
        self._kept: Tensor | None = None

    def add(
        self, outputs: Tensor, targets: Tensor, *, loss: Tensor, weight: float | Tensor
    ) -> None:
        """Count outputs with their targets, `(N, 2, ...)`."""
        self._images += len(targets)
        found, wanted = outputs.detach().flatten(2).to(self._sums.dtype).unbind(dim=1)
        zero = torch.zeros((), device=outputs.device)
        terms = [
            (found - wanted).square().sum(),
            wanted.square().sum(),
            loss * weight,
            zero + weight,
        ]
        self._sums += torch.stack([term.to(self._sums.dtype) for term in terms])
        self._targets += wanted.sum(dim=0)
        if self._kept is None:
            self._kept = outputs.detach()[:SAMPLE].transpose(0, 1)

    def add_up(self, total: Callable[[Tensor], Tensor]) -> None:
        """Have the sums of all processes; what is drawn is of the images of this one."""
        self._images = int(total(torch.tensor(self._images, device=self._sums.device)))
        total(self._sums)
        total(self._targets)

    def compute(self) -> GivenBack:
        """The result; the one place that waits for the device."""
        if self._images == 0:
            raise DataError("no images to evaluate", remedy="the split is empty")
        errors, squares, loss, weight = self._sums.tolist()
        variance = squares - float(self._targets.square().sum()) / self._images
        return GivenBack(
            images=self._images,
            loss=loss / weight,
            mse=errors / (self._images * self._units),
            explained=1 - errors / variance if variance > 0 else None,
            sample=torch.empty(0) if self._kept is None else self._kept.cpu(),
        )


def _squared(pairs: Tensor) -> Tensor:
    """`(N,)`: the mean squared error of each image's units."""
    found, wanted = pairs.float().unbind(dim=1)
    return (found - wanted).square().flatten(1).mean(dim=1)


def _tiled(layers: Tensor) -> Tensor:
    """`(N, units)` or `(N, maps, H, W)` in a square of tiles, `(N, 1, rows, columns)`."""
    maps = layers if layers.ndim == 4 else layers.flatten(1)[:, :, None, None]
    count, number, height, width = maps.shape
    side = math.ceil(math.sqrt(number))
    filled = functional.pad(maps, (0, 0, 0, 0, 0, side * side - number))
    tiles = filled.reshape(count, side, side, height, width).transpose(2, 3)
    return tiles.reshape(count, 1, side * height, side * width)
