"""What networks cost and what they have reached, in one table to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cnntrain.arch.network import Shape
from cnntrain.arch.plan import Plan
from cnntrain.arch.table import totals
from cnntrain.arch.table_text import times
from cnntrain.assemble.needed_memory import weight_memory
from cnntrain.assemble.speed import ImagesPerSecond
from cnntrain.assemble.transfer.published_accuracy import Accuracy, published_accuracy
from cnntrain.core.units import byte_size, short_count
from cnntrain.show.tables import columns, markdown
from cnntrain.show.words import counted, percent, quantity

MOMENTUM = 1
"""Numbers that SGD with momentum remembers for each weight."""


@dataclass(frozen=True)
class Figures:
    """Of one network.

    Args:
        name: as it was asked for.
        image: shape of the images that it is planned for, (C, H, W).
        totals: see `cnntrain.arch.table.totals`.
        training_bytes: weights, gradients, SGD's momentum, and activations of a batch, in float32.
        accuracy: as published; None where nothing is.
        speed: on this machine; None where it was not measured.
    """

    name: str
    image: Shape
    totals: dict[str, int]
    training_bytes: int
    accuracy: Accuracy | None
    speed: ImagesPerSecond | None

    @property
    def quantities(self) -> dict[str, float | None]:
        """All numbers; what is unknown is None, and speeds are there if they were measured."""
        found: dict[str, float | None] = {**self.totals, "training_bytes": self.training_bytes}
        found["top1"] = None if self.accuracy is None else self.accuracy.top1
        if self.speed is not None:
            found["training_images_per_second"] = self.speed.training
            found["inference_images_per_second"] = self.speed.inference
        return found

    @property
    def top1_of(self) -> str:
        """What the accuracy was measured on, and with which weights."""
        return "" if self.accuracy is None else f"{self.accuracy.test_set}, {self.accuracy.source}"


def figures_of(
    name: str, plan: Plan, *, batch: int, speed: ImagesPerSecond | None = None
) -> Figures:
    """The figures of a planned network; only its speed must have been measured before.

    Args:
        name: of the network.
        plan: of it.
        batch: images at once in training.
        speed: on this machine, for batches of as many.
    """
    total = totals(plan, batch=batch)
    memory = sum(weight_memory(plan, remembered=MOMENTUM).values()) + total["activation_bytes"]
    return Figures(name, plan.body.in_shape, total, memory, published_accuracy(plan), speed)


def as_data(table: Sequence[Figures]) -> list[dict[str, Any]]:
    """The table as plain data."""
    return [
        {
            "name": each.name,
            "input_shape": list(each.image),
            **each.quantities,
            "top1_of": each.top1_of or None,
        }
        for each in table
    ]


def as_text(table: Sequence[Figures]) -> str:
    """The table in columns; speeds are compared with that of the first network."""
    lines = _lines(table)
    close = {at for at in range(len(HEAD), len(lines[0])) if not lines[0][at]}
    return columns(lines, right=_right(lines), close=close, rules=[1])


def as_markdown(table: Sequence[Figures]) -> str:
    """The table in Markdown."""
    lines = _lines(table)
    return markdown(lines, right=_right(lines))


def legend(table: Sequence[Figures], *, device: str) -> str:
    """What the columns mean.

    Args:
        table: the networks.
        device: on which speeds were measured, in words.
    """
    images = counted(table[0].totals["batch"], "image")
    lines = [
        "multiply-adds: of one image, forward; memory: of training in float32: weights, gradients,",
        f"SGD's momentum, and what {images} leave for the backward pass; top-1: as published for",
        "this network, with torchvision's best weights or in its paper",
    ]
    if table[0].speed is not None:
        lines += [
            f"images per second: {images} at once on {device}, in float32;",
            "median of steps after a warm-up; training is forward, backward and update, without",
            "loading images; x: compared with the first network",
        ]
    return "\n".join(lines)


HEAD = ("network", "images", "parameters", "multiply-adds", "memory", "top-1", "on, with")
SPEEDS = ("images/s training", "", "inference", "")


def _lines(table: Sequence[Figures]) -> list[tuple[str, ...]]:
    first = table[0].speed
    lines = [(*HEAD, *(SPEEDS if first else ()))]
    for each in table:
        figures = (
            each.name,
            times(each.image),
            short_count(each.totals["parameters"]),
            short_count(each.totals["multiply_adds"]),
            byte_size(each.training_bytes),
            percent(each.accuracy.top1) if each.accuracy else "",
            each.top1_of,
        )
        lines.append((*figures, *_speeds(each.speed, first)))
    return lines


def _speeds(speed: ImagesPerSecond | None, first: ImagesPerSecond | None) -> tuple[str, ...]:
    if speed is None or first is None:
        return ()
    pairs = ((speed.training, first.training), (speed.inference, first.inference))
    return tuple(text for one, by in pairs for text in (quantity(one), f"x {one / by:.2f}"))


def _right(lines: Sequence[tuple[str, ...]]) -> set[int]:
    return {2, 3, 4, 5, *range(len(HEAD), len(lines[0]))}
