"""What a run has done in all its parts: sums over its epochs, its best and its last one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from cnntrain.checkpoint import State
from cnntrain.checkpoint.checked_values import mapping_in, number_in, value_in, whole_in, wrong_part
from cnntrain.tasks.protocol import Result


@dataclass(frozen=True)
class KeptResult:
    """Of an evaluation, what a checkpoint keeps: a `Result` without its details."""

    images: int
    loss: float
    figures: Mapping[str, float | None]

    @classmethod
    def of(cls, result: Result) -> KeptResult:
        """That of a result, without what may be large, such as a confusion matrix."""
        return cls(result.images, result.loss, dict(result.figures))

    def state_dict(self) -> State:
        """Plain values."""
        return {"images": self.images, "loss": self.loss, "figures": dict(self.figures)}


@dataclass(frozen=True)
class KeptEpoch:
    """Of an epoch, what a checkpoint keeps; see `EpochDone`.

    `guessed` is what guessing would give, where the validation result is no better; see `Task`.
    """

    epoch: int
    step: int
    train_loss: float
    train_figures: Mapping[str, float]
    validation: KeptResult | None
    guessed: str | None = None


def waited(data_seconds: float, seconds: float) -> float:
    """Share of a time spent waiting for data, 0 to 1."""
    return min(data_seconds / seconds, 1.0) if seconds > 0 else 0.0


@dataclass(frozen=True)
class SoFar:
    """The epochs of a run until now, those before it was resumed included.

    Args:
        images: learnt from.
        seconds: wall time of the epochs without their evaluations.
        data_seconds: of `seconds`, spent waiting for batches.
        best: the epoch with the best weights; None where none is known.
        last: the last epoch.
    """

    images: int = 0
    seconds: float = 0.0
    data_seconds: float = 0.0
    best: KeptEpoch | None = None
    last: KeptEpoch | None = None

    @property
    def images_per_second(self) -> float:
        """Training images a second over these epochs."""
        return self.images / self.seconds if self.seconds > 0 else 0.0

    @property
    def data_wait(self) -> float:
        """Share of the time spent waiting for data, 0 to 1."""
        return waited(self.data_seconds, self.seconds)

    def state_dict(self) -> State:
        """Plain values."""
        plain = {each.name: getattr(self, each.name) for each in fields(self)}
        return {**plain, "best": _as_plain(self.best), "last": _as_plain(self.last)}


NOTHING_YET = SoFar()


def so_far_in(values: Mapping[str, Any], *, part: str) -> SoFar:
    """What `state_dict` gave; CheckpointError where `part` of a checkpoint does not fit."""
    return SoFar(
        images=whole_in(values, "images", part=part),
        seconds=number_in(values, "seconds", part=part, low=0.0),
        data_seconds=number_in(values, "data_seconds", part=part, low=0.0),
        best=_as_epoch(values, "best", part=part),
        last=_as_epoch(values, "last", part=part),
    )


def _as_plain(epoch: KeptEpoch | None) -> State | None:
    if epoch is None:
        return None
    return {
        "epoch": epoch.epoch,
        "step": epoch.step,
        "train_loss": epoch.train_loss,
        "train_figures": dict(epoch.train_figures),
        "guessed": epoch.guessed,
        "validation": None if epoch.validation is None else epoch.validation.state_dict(),
    }


def _as_epoch(values: Mapping[str, Any], name: str, *, part: str) -> KeptEpoch | None:
    if value_in(values, name, part=part) is None:
        return None
    values, part = mapping_in(values, name, part=part), f"{part}.{name}"
    found = None
    if value_in(values, "validation", part=part) is not None:
        result, inner = mapping_in(values, "validation", part=part), f"{part}.validation"
        found = KeptResult(
            images=whole_in(result, "images", part=inner),
            loss=_loss_in(result, "loss", part=inner),
            figures=_figures_in(result, "figures", part=inner),
        )
    return KeptEpoch(
        epoch=whole_in(values, "epoch", part=part),
        step=whole_in(values, "step", part=part),
        train_loss=_loss_in(values, "train_loss", part=part),
        train_figures={
            key: value
            for key, value in _figures_in(values, "train_figures", part=part).items()
            if value is not None
        },
        validation=found,
        guessed=_guess_in(values, part=part),
    )


def _guess_in(values: Mapping[str, Any], *, part: str) -> str | None:
    found = values.get("guessed")  # older checkpoints do not have it
    if not isinstance(found, str | None):
        raise wrong_part(part, "guessed", found, "text")
    return found


def _loss_in(values: Mapping[str, Any], name: str, *, part: str) -> float:
    """A loss or a figure, which may have been NaN."""
    found: float = value_in(values, name, part=part)
    if type(found) not in (int, float):
        raise wrong_part(part, name, found, "a number")
    return found


def _figures_in(values: Mapping[str, Any], name: str, *, part: str) -> dict[str, float | None]:
    figures = mapping_in(values, name, part=part)
    return {
        key: None if value is None else _loss_in(figures, key, part=f"{part}.{name}")
        for key, value in figures.items()
    }
