"""What is said of an image, and what outputs mean where the task does not say so itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.protocol import Result, Task

_SHOWN = 6
"""Numbers of a vector in a table; the others are in CSV and JSON."""


class SaidOfImage(Protocol):
    """What a network says of one image; a frozen value."""

    def cells(self) -> Mapping[str, str]:
        """In a row of a table: texts by the names of their columns."""

    def values(self) -> Mapping[str, str]:
        """The same way, for CSV: exact values."""

    def data(self) -> Mapping[str, Any]:
        """As JSON takes it."""


@dataclass(frozen=True)
class Ranking:
    """Classes with their probabilities, the most probable first."""

    pairs: tuple[tuple[str, float], ...]

    def cells(self) -> dict[str, str]:
        """`class 1: cat 97.20%`."""
        return {f"class {i}": f"{name} {p:.2%}" for i, (name, p) in enumerate(self.pairs, 1)}

    def values(self) -> dict[str, str]:
        """A column for each class and for each probability."""
        found: dict[str, str] = {}
        for place, (name, probability) in enumerate(self.pairs, 1):
            found |= {f"class{place}": name, f"probability{place}": f"{probability:.6f}"}
        return found

    def data(self) -> dict[str, Any]:
        """The class, and the probabilities."""
        pairs = [{"class": name, "probability": p} for name, p in self.pairs]
        return {"class": self.pairs[0][0] if self.pairs else None, "probabilities": pairs}


@dataclass(frozen=True)
class Numbers:
    """Numbers by their names."""

    pairs: tuple[tuple[str, float], ...]

    def cells(self) -> dict[str, str]:
        """A column for each."""
        return {name: f"{value:.5g}" for name, value in self.pairs}

    def values(self) -> dict[str, str]:
        """A column for each."""
        return {name: f"{value:.9g}" for name, value in self.pairs}

    def data(self) -> dict[str, Any]:
        """The numbers by name."""
        return {"numbers": dict(self.pairs)}


@dataclass(frozen=True)
class Labels:
    """The probability of each label; said are those above their thresholds."""

    pairs: tuple[tuple[str, float], ...]
    thresholds: tuple[float, ...]

    @property
    def there(self) -> tuple[tuple[str, float], ...]:
        """The labels that the image has, the most probable first."""
        limits = zip(self.pairs, self.thresholds, strict=True)
        return tuple(sorted((p for p, limit in limits if p[1] > limit), key=lambda p: -p[1]))

    def cells(self) -> dict[str, str]:
        """All of them in one column."""
        return {"labels": ", ".join(f"{name} {p:.2%}" for name, p in self.there) or "none"}

    def values(self) -> dict[str, str]:
        """The labels, then a column of probabilities for each that there could be."""
        said = "|".join(name for name, _ in self.there)
        return {"labels": said, **{name: f"{p:.6f}" for name, p in self.pairs}}

    def data(self) -> dict[str, Any]:
        """The labels, and all probabilities."""
        return {"labels": [name for name, _ in self.there], "probabilities": dict(self.pairs)}


@dataclass(frozen=True)
class Vector:
    """Where an image lies among others."""

    numbers: tuple[float, ...]

    def cells(self) -> dict[str, str]:
        """The first numbers, in one column."""
        more = " ..." if len(self.numbers) > _SHOWN else ""
        return {"vector": " ".join(f"{each:.3f}" for each in self.numbers[:_SHOWN]) + more}

    def values(self) -> dict[str, str]:
        """A column for each number."""
        return {f"vector{place}": f"{each:.9g}" for place, each in enumerate(self.numbers, 1)}

    def data(self) -> dict[str, Any]:
        """The numbers."""
        return {"vector": list(self.numbers)}


def answers_of(task: Task, outputs: Tensor) -> Tensor:
    """What outputs `(N, ...)` mean; themselves where the task does not say."""
    ask = getattr(task, "answers", None)
    return outputs if ask is None else ask(outputs)


def gives_probabilities(task: Task) -> bool:
    """Whether outputs are a score for each class, so that their softmax are probabilities."""
    return hasattr(task, "quality")


def together(task: Task, answers: Sequence[Tensor]) -> Tensor:
    """The task's mean of answers to the same images; else the arithmetic one."""
    ask = getattr(task, "together", None)
    return torch.stack(tuple(answers)).mean(dim=0) if ask is None else ask(answers)


def judged(task: Task, answers: Tensor, targets: Tensor, *, criterion: Criterion) -> Result:
    """The result of answers that are means; where the task does not say, they count as outputs."""
    ask = getattr(task, "judged", None)
    if ask is not None:
        found: Result = ask(answers, targets, criterion=criterion)
        return found
    sums = task.sums(answers)
    loss, weight = criterion(answers, targets), criterion.weight(targets)
    sums.add(answers, targets, loss=loss, weight=weight)
    return sums.compute()


def parts_of(
    task: Task, result: Result, names: Sequence[str]
) -> Sequence[tuple[str, Task, Result, Sequence[str]]]:
    """Of each head: name, task, result, and names of its outputs; of others the one, unnamed."""
    ask = getattr(task, "parts", None)
    return [("", task, result, names)] if ask is None else list(ask(result, names))


def said(task: Task, answers: Tensor, names: Sequence[str], *, top: int) -> Sequence[SaidOfImage]:
    """What is said of each image; where the task does not say, the numbers that are given."""
    ask = getattr(task, "said", None)
    if ask is not None:
        found: Sequence[SaidOfImage] = ask(answers, names, top=top)
        return found
    rows = answers.flatten(1).tolist()
    width = len(rows[0]) if rows else 0
    named = names if len(names) == width else [f"output {i + 1}" for i in range(width)]
    return [Numbers(tuple(zip(named, row, strict=True))) for row in rows]
