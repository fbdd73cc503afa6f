"""What several heads give: the result of each, and sums of them on the device."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.tasks.classification import sum_dtype
from cnntrain.tasks.head import Head
from cnntrain.tasks.protocol import EpochSums, Result, Sums
from cnntrain.tasks.targets import Targets


@dataclass(frozen=True)
class Multitasked:
    """What several heads gave.

    Args:
        images: how many there were, each exactly once.
        loss: mean of the weighted sum of the heads' losses.
        parts: by head, what its task makes of it.
    """

    images: int
    loss: float
    parts: Mapping[str, Result]

    @property
    def figures(self) -> Mapping[str, float | None]:
        """By `HEAD.FIGURE`, each head's own loss among them."""
        return {
            f"{head}.{name}": value
            for head, part in self.parts.items()
            for name, value in {"loss": part.loss, **part.figures}.items()
        }


class MultitaskSums:
    """The sums of each head over the batches of an evaluation.

    Args:
        heads: by name.
        targets: of all of them.
        outputs: such as will be counted.
    """

    def __init__(self, heads: Mapping[str, Head], targets: Targets, outputs: Tensor) -> None:
        self._heads = heads
        self._targets = targets
        self.parts: Mapping[str, Sums] = {
            name: head.task.sums(head.output(outputs)) for name, head in heads.items()
        }
        self._images = 0
        self._loss = torch.zeros((), dtype=sum_dtype(outputs.device), device=outputs.device)

    def add(
        self, outputs: Tensor, targets: Tensor, *, loss: Tensor, weight: float | Tensor
    ) -> None:
        """Count outputs `(N, F)` with targets `(N, K)`."""
        self._images += len(targets)
        self._loss += loss.to(self._loss.dtype) * weight
        for name, head in self._heads.items():
            own, wanted = head.pair(self._targets)(outputs, targets)
            part, of = head.loss(own, wanted), head.loss.weight(wanted)
            self.parts[name].add(own, wanted, loss=part, weight=of)

    def add_up(self, total: Callable[[Tensor], Tensor]) -> None:
        """Have the sums of all processes."""
        self._images = int(total(torch.tensor(self._images, device=self._loss.device)))
        total(self._loss)
        for part in self.parts.values():
            part.add_up(total)

    def compute(self) -> Multitasked:
        """The result; the one place that waits for the device."""
        if self._images == 0:
            raise DataError("no images to evaluate", remedy="the split is empty")
        parts = {name: part.compute() for name, part in self.parts.items()}
        return Multitasked(self._images, float(self._loss) / self._images, parts)


class MultitaskEpochSums:
    """The sums of each head in an epoch.

    Args:
        heads: by name.
        targets: of all of them.
        device: where outputs are.
    """

    def __init__(self, heads: Mapping[str, Head], targets: Targets, device: torch.device) -> None:
        self._targets = targets
        self._sums: dict[str, tuple[Head, EpochSums]] = {
            name: (head, head.task.epoch_sums(device)) for name, head in heads.items()
        }

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Outputs `(N, F)` and targets `(N, K)`."""
        for head, sums in self._sums.values():
            own, wanted = head.pair(self._targets)(outputs, targets)
            sums.add(own.clone() if own.ndim == 2 else own, wanted)  # keeps no image of others

    def figures(self, images: int) -> dict[str, float]:
        """By head and figure."""
        return {
            f"{name}.{key}": value
            for name, (_, sums) in self._sums.items()
            for key, value in sums.figures(images).items()
        }

    def tensors(self) -> dict[str, Tensor]:
        """By head and name."""
        return {
            f"{name}.{key}": value
            for name, (_, sums) in self._sums.items()
            for key, value in sums.tensors().items()
        }
