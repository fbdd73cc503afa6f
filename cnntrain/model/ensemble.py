"""Trained networks that answer together, each with its own preprocessing and views of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from cnntrain.arch.fully_convolutional import Dense
from cnntrain.assemble.parts import apply_threads, choose_device, place, uses_channels_last
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.data.crops import Crops, Views, make_views
from cnntrain.data.decode import UnreadableImageError
from cnntrain.data.splits import Part
from cnntrain.data.threads import in_threads
from cnntrain.model.model import Trained
from cnntrain.model.splits import evaluation_batch
from cnntrain.runs.locate import run_file_at
from cnntrain.train.averaging import mean_log_softmax

_READ = 128
"""Images that are read before they are classified."""


@dataclass(frozen=True)
class Answers:
    """What one network says of some images.

    Args:
        scores: `(N, classes)`, logarithms of the probabilities.
        errors: by position, what cannot be classified and why; its scores are no numbers.
    """

    scores: Tensor
    errors: dict[int, ValueError | UnreadableImageError]


@dataclass(frozen=True)
class Member:
    """A trained network on its device, and how it looks at an image."""

    trained: Trained
    net: nn.Module
    views: Views
    device: torch.device

    def answers(
        self,
        part: Part,
        *,
        classes: Sequence[str],
        go_on: bool,
        progress: Callable[[int], object] = lambda images: None,
    ) -> Answers:
        """Classify images.

        Args:
            part: the images.
            classes: the columns of the answers; the network's own in any order.
            go_on: whether to classify the others when one cannot be.
            progress: is told how many images more have been looked at.
        """
        config = self.trained.loaded.config
        columns = [self.trained.classes.index(name) for name in classes]
        layout = uses_channels_last(config.compute, self.device)
        _, height, width = self.trained.in_shape
        scores = torch.full((len(part), len(columns)), torch.nan)
        errors: dict[int, ValueError | UnreadableImageError] = {}

        def read(index: int) -> list[Tensor] | ValueError | UnreadableImageError:
            try:
                return self._checked(self.views.read(part, index))
            except (UnreadableImageError, ValueError) as error:
                return error

        for start in range(0, len(part), _READ):
            numbers = range(start, min(start + _READ, len(part)))
            found: dict[int, list[Tensor]] = {}
            for number, result in zip(numbers, in_threads(read, numbers), strict=True):
                if isinstance(result, list):
                    found[number] = result
                else:
                    errors[number] = result
            if errors and not go_on:
                break
            if found:
                scores[list(found)] = mean_log_softmax(
                    self.net,
                    list(found.values()),
                    prepare=self.views.prepare,
                    mirrored=self.views.mirrored,
                    batch_pixels=evaluation_batch(self.trained.loaded) * height * width,
                    precision=config.compute.precision,
                    device=self.device,
                    memory_format=torch.channels_last if layout else torch.contiguous_format,
                )[:, columns]
            progress(len(numbers))
        return Answers(scores, errors)

    def _checked(self, views: list[Tensor]) -> list[Tensor]:
        """The views themselves, if the network takes their sizes."""
        channels, *expected = self.trained.in_shape
        for view in views:
            found = self.views.tail.output_size((view.shape[1], view.shape[2]))
            is_larger = all(ours >= theirs for ours, theirs in zip(found, expected, strict=True))
            fits = is_larger if isinstance(self.net, Dense) else found == tuple(expected)
            if not fits or len(view) != channels:
                shapes = [(len(view), *found), self.trained.in_shape]
                words = [" x ".join(map(str, shape)) for shape in shapes]
                raise ValueError(
                    f"is {words[0]} after its transforms, but the network was evaluated on "
                    f"{words[1]} (channels x height x width); resize it"
                )
        return views


def make_member(trained: Trained, *, crops: Crops = "center", scales: Sequence[int] = ()) -> Member:
    """A trained network, placed on its device.

    Args:
        trained: the network.
        crops: the views of each image; see `cnntrain.data.crops`.
        scales: for `dense`, lengths of the shorter side.

    Raises:
        UsageError: its preprocessing or its layers do not allow such views.
    """
    compute = trained.loaded.config.compute
    apply_threads(compute)
    device = choose_device(compute, trained.loaded)
    place(trained.net, compute=compute, device=device)
    side = max(trained.in_shape[1:])
    if scales and min(scales) < side:
        message = f"the scale {min(scales)} is smaller than the {side} that {trained.path} reads"
        raise UsageError(message, remedy=f"use scales from {side} on")
    try:
        views = make_views(trained.eval_steps, crops=crops, scales=scales)
    except ValueError as error:
        message, _, remedy = str(error).partition("; ")
        raise UsageError(f"{trained.path}: {message}", remedy=remedy) from error
    if crops == "dense":
        net: nn.Module = Dense(trained.net, in_shape=trained.in_shape)
    else:
        net = trained.net
    return Member(trained, net, views, device)


def is_run_file(path: Path) -> bool:
    """Whether it is weights that a run file names, and not a run's, that are meant."""
    return run_file_at(path) is not None


def check_classes(
    trained: Trained, classes: Sequence[str], *, whose: str = "the data", any_order: bool = False
) -> None:
    """Refuse classes that are not those of a network.

    Args:
        trained: the network.
        classes: of the images, or of another network.
        whose: what to call them.
        any_order: whether it is enough that the names agree.

    Raises:
        CheckpointError: they differ.
    """
    unknown = sorted(set(classes) - set(trained.classes))
    missing = sorted(set(trained.classes) - set(classes))
    if tuple(classes) == trained.classes or (any_order and not unknown and not missing):
        return
    parts = [f"unknown to the network: {', '.join(unknown[:6])}"] if unknown else []
    parts += [f"not in {whose}: {', '.join(missing[:6])}"] if missing else []
    raise CheckpointError(
        f"the classes of {whose} are not those of {trained.path} "
        f"({'; '.join(parts) or 'the same ones in another order'})",
        remedy="give the data it was trained for, or list `data.classes` in its order"
        if whose == "the data"
        else "only networks for the same classes can answer together",
    )
