"""How a model looks at an image: its views, and the mean of its answers to them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from cnntrain.arch.fully_convolutional import Dense
from cnntrain.assemble.translation import evaluation_batch
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import halves
from cnntrain.core.target_forms import has_image
from cnntrain.data.crops import Crops, Views, make_views
from cnntrain.data.decode import UnreadableImageError, in_threads
from cnntrain.data.image_targets import uncorrupted
from cnntrain.data.splits import Part
from cnntrain.train.evaluation import answering, mean_answers

if TYPE_CHECKING:
    from cnntrain.model.model import Model

Refusal = ValueError | UnreadableImageError
"""Why there is no answer for an image."""


@dataclass(frozen=True)
class Viewer:
    """A model with the views that it is given of each image.

    Args:
        model: the model.
        net: its network, or that slid over larger images.
        views: of an image.
    """

    model: Model
    net: nn.Module
    views: Views

    def read(self, part: Part, index: int) -> list[Tensor]:
        """The views of one image, uint8 (C, H, W), not mirrored and not normalised.

        Raises:
            UnreadableImageError: the file cannot be decoded.
            ValueError: a transform is impossible on the image, or it gets a wrong size.
        """
        views = self.views.read(part, index)
        channels, *expected = self.model.in_shape
        for view in views:
            found = self.views.tail.output_size((view.shape[1], view.shape[2]))
            is_larger = all(ours >= theirs for ours, theirs in zip(found, expected, strict=True))
            fits = is_larger if isinstance(self.net, Dense) else found == tuple(expected)
            if not fits or len(view) != channels:
                shapes = [(len(view), *found), self.model.in_shape]
                words = [" x ".join(map(str, shape)) for shape in shapes]
                raise ValueError(
                    f"is {words[0]} after its transforms, but the network was evaluated on "
                    f"{words[1]} (channels x height x width); resize it"
                )
        return views

    def read_all(
        self, part_of: Callable[[int, int], tuple[Part, int]], numbers: Sequence[int]
    ) -> list[list[Tensor] | Refusal]:
        """The views of a few images, each as from `read`, or why there are none.

        Args:
            part_of: where an image is, by its number and the network's channels.
            numbers: of the images.
        """
        channels = self.model.in_shape[0]

        def read(number: int) -> list[Tensor] | Refusal:
            try:
                return self.read(*part_of(number, channels))
            except (UnreadableImageError, ValueError) as error:
                return error

        return list(in_threads(read, numbers))

    def scores(
        self,
        results: Sequence[list[Tensor] | Refusal],
        *,
        classes: Sequence[str],
        stop_at_errors: bool = False,
    ) -> tuple[Tensor, dict[int, Refusal]]:
        """What the network says of a few images.

        Args:
            results: what `read_all` gave.
            classes: the columns of the answers; the model's own names in any order.
            stop_at_errors: whether none is answered when one cannot be.

        Returns:
            `(N, ...)`, the task's answers, the mean over the views, of classes with the model's
            temperature; and by its place among the results why an image cannot be answered, whose
            scores are not numbers.
        """
        columns = [self.model.classes.index(name) for name in classes]
        _, height, width = self.model.in_shape
        scores = torch.full((len(results), len(columns)), torch.nan)
        found = {row: views for row, views in enumerate(results) if isinstance(views, list)}
        errors = {row: why for row, why in enumerate(results) if not isinstance(why, list)}
        if found and not (errors and stop_at_errors):
            means = mean_answers(
                self.net,
                list(found.values()),
                task=self.model.task,
                prepare=self.views.prepare,
                mirrored=self.views.mirrored,
                batch_pixels=evaluation_batch(self.model.loaded) * height * width,
                precision=self.model.precision,
                device=self.model.device,
                memory_format=self.model.memory_format,
            )
            if self.model.temperature != 1.0:
                means = (means / self.model.temperature).log_softmax(dim=1)
            if means.ndim == 2 and means.shape[1] == len(columns):
                means = means[:, columns]
            scores = means.new_full((len(results), *means.shape[1:]), torch.nan)
            scores[list(found)] = means
        return scores, errors


def make_viewer(model: Model, *, crops: Crops = "center", scales: Sequence[int] = ()) -> Viewer:
    """The views that a model's preprocessing and a way of cropping give.

    See `cnntrain.model.evaluate.evaluate` for `crops` and `scales`.

    Raises:
        UsageError: its preprocessing or its layers do not allow such views.
    """
    if crops != "center" and has_image(model.loaded.config.task.wanted):
        message = f"--crops {crops}: what is answered to several crops is averaged, and is no image"
        raise UsageError(message, remedy="leave it out")
    side = max(model.in_shape[1:])
    if scales and min(scales) < side:
        message = f"the scale {min(scales)} is smaller than the {side} that {model.path} reads"
        raise UsageError(message, remedy=f"use scales from {side} on")
    try:
        views = make_views(uncorrupted(model.eval_steps), crops=crops, scales=scales)
    except ValueError as error:
        message, remedy = halves(error)
        raise UsageError(f"{model.path}: {message}", remedy=remedy) from error
    if crops == "dense":
        return Viewer(model, Dense(model.net, in_shape=model.in_shape), views)
    return Viewer(model, answering_of(model) if crops == "center" else model.net, views)


def answering_of(model: Model) -> nn.Module:
    """What a run has evaluated: the network, or the mean of its outputs for several views."""
    train = model.loaded.config.train
    views = 1 if train is None else train.evaluate_views
    return answering(model.net, views=views)
