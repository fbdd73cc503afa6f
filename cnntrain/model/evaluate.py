"""Evaluating models on a split of their data: one, or several as a committee."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from cnntrain.assemble.make_parts import make_criterion
from cnntrain.core.errors import DataError, UsageError
from cnntrain.core.kinds import Split
from cnntrain.core.problems import halves
from cnntrain.core.target_forms import has_image
from cnntrain.data.crops import Crops
from cnntrain.data.decode import UnreadableImageError
from cnntrain.data.left_out import LeftOut
from cnntrain.data.read_ahead import read_ahead
from cnntrain.model.images import SplitImages, find_images
from cnntrain.model.views import Refusal, Viewer, answering_of, make_viewer
from cnntrain.show.progress import bar
from cnntrain.show.words import listed
from cnntrain.tasks.answers import gives_probabilities, judged, together
from cnntrain.tasks.criterion import Criterion
from cnntrain.tasks.image_scores import ImageScores
from cnntrain.tasks.protocol import Result, Task
from cnntrain.train import evaluate as evaluate_batches
from cnntrain.train.finite import LOOK_AT_DATA, ImagesNotFiniteError

if TYPE_CHECKING:
    from cnntrain.model.model import Model
    from cnntrain.tasks.quality import Quality

LOSS_OF_MEAN = "-log of the averaged probability of the true class"
_READ = 128
"""Images that are read before the network sees them."""


@dataclass(frozen=True)
class Evaluated:
    """The result of an evaluation, and what was evaluated.

    Args:
        model: what was evaluated; of a committee the first.
        classes: the names of the outputs; of classes the rows and columns of the confusion matrix.
        selected: whether these images selected the weights, so that the result is optimistic.
        views: of each image, mirrored ones included.
        members: of a committee, what each model does by itself; none for one model.
        disagreements: images on which the members do not all say the same; None where nothing is
            decided.
        mirrors_unseen: whether views are mirrored though a network learnt no mirrored images.
        left_out: files of the split that are not used.
        images: the images, by the positions of the answers.
        answers: the probabilities; None for a task that has none.
        loss: what the metrics' loss is, in words.
    """

    model: Model
    classes: tuple[str, ...]
    split: Split
    metrics: Result
    selected: bool
    views: int = 1
    members: tuple[tuple[Model, Result], ...] = ()
    disagreements: int | None = 0
    mirrors_unseen: bool = False
    left_out: tuple[LeftOut, ...] = ()
    images: SplitImages | None = None
    answers: ImageScores | None = None
    loss: str = ""

    @cached_property
    def quality(self) -> Quality | None:
        """What the probabilities show; None for a task that has none."""
        measure: Callable[[ImageScores], Quality] | None = getattr(self.task, "quality", None)
        return None if self.answers is None or measure is None else measure(self.answers)

    @property
    def task(self) -> Task:
        """What words the result."""
        return self.model.task


def evaluate(
    models: Sequence[Model],
    *,
    split: Split | None = None,
    crops: Crops = "center",
    scales: Sequence[int] = (),
) -> Evaluated:
    """Classify a split of the first model's data.

    One model that sees one view of each image is evaluated as it was while training, batches and
    loss included, so the result is the logged one. Otherwise an answer is the mean over views and
    over models, as the task takes it. Of classes it is that of the softmax (Ciresan, Meier,
    Schmidhuber, "Multi-column Deep Neural Networks for Image Classification", 2012, section 2;
    Krizhevsky et al. 2012, section 6.1), and the loss the mean of -log of the averaged probability
    of the true class, whatever the networks were trained with. Each model has its own
    preprocessing.

    Args:
        models: one, or the members of a committee.
        split: the test set if there is one, else validation.
        crops: the views of each image; see `cnntrain.data.crops`.
        scales: for `dense`, lengths of the images' shorter side.

    Raises:
        CheckpointError: a model is for other classes.
        UsageError: there is no such split, a model cannot be given such views, or it was trained
            on some of these images.
        DataError: an image is unreadable, or not of the size that a network takes, or holds values
            that are not finite.
        DivergedError: a network's outputs are not finite; it names the first layer.
    """
    first = models[0]
    if len(models) > 1 and has_image(first.loaded.config.task.wanted):
        message = f"{first.path}: networks that give images are evaluated one by one"
        raise UsageError(message, remedy="give one run; `predict --with` averages their images")
    if len(models) > 1 and first.named.form == "distances":
        message = f"{first.path}: networks that give vectors are evaluated one by one"
        raise UsageError(message, remedy="give one run")
    viewers = [make_viewer(model, crops=crops, scales=scales) for model in models]
    with first.running(deterministic=True):
        is_free = len(models) > 1 and first.named.form == "classes"  # others have units by place
        images = find_images(first, split=split, any_order=is_free)
        for model in models:
            model.check_classes(images.classes, any_order=len(models) > 1)
            _refuse_seen(model, images)
        if len(models) == 1 and crops == "center":
            metrics, answers = _as_in_training(images)
            return Evaluated(
                first,
                first.classes,
                images.split,
                metrics,
                _selected(first, images.split),
                left_out=images.left_out,
                images=images,
                answers=answers,
                loss=_loss_of(first),
            )
        return _together(viewers, images)


def _as_in_training(images: SplitImages) -> tuple[Result, ImageScores | None]:
    model = images.model
    scores: list[Tensor] = []
    targets: list[Tensor] = []

    def collect(outputs: Tensor, wanted: Tensor) -> None:
        scores.append((outputs / model.temperature).log_softmax(dim=1).cpu())
        targets.append(wanted.cpu())

    criterion = _criterion(images)
    with images.opened() as loader:
        try:
            result = evaluate_batches(
                answering_of(model),
                loader,
                criterion=criterion,
                precision=model.precision,
                task=model.task,
                whole=f"the {images.kind}",
                collect=collect if gives_probabilities(model.task) else None,
            )
        except ImagesNotFiniteError as error:
            names = listed([images.label(number) for number in error.numbers])
            message = f"{names}: values that are not finite, after the transforms"
            raise DataError(message, remedy=LOOK_AT_DATA) from error
    assert result is not None, "nothing stops it"
    return result, ImageScores(torch.cat(scores), torch.cat(targets)) if scores else None


def _criterion(images: SplitImages, device: torch.device | None = None) -> Criterion:
    model = images.model
    at = device or model.device
    count = images.train_images
    return make_criterion(model.loaded, task=model.task, data=images, images=count, device=at)


def _loss_of(model: Model) -> str:
    """The loss of the training, with the keys that change it."""
    train = model.loaded.config.train
    if train is None:
        return model.loaded.config.task.usual_loss
    given = train.loss.parameters.items()
    keys = ", ".join(f"{key} {value}" for key, value in given if value)
    return train.loss.name + (f" with {keys}" if keys else "") + ", as in training"


def _together(viewers: Sequence[Viewer], images: SplitImages) -> Evaluated:
    task, criterion = images.model.task, _criterion(images, torch.device("cpu"))
    judge = partial(judged, task, targets=images.targets, criterion=criterion)
    scores = [_scores(viewer, images) for viewer in viewers]
    results = [(v.model, judge(said)) for v, said in zip(viewers, scores, strict=True)]
    whole = together(task, scores)
    has_quality, decide = gives_probabilities(task), getattr(task, "decisions", None)
    usual = f"{_loss_of(images.model)}, of the averaged answers"
    return Evaluated(
        results[0][0],
        images.classes,
        images.split,
        judge(whole),
        any(_selected(viewer.model, images.split) for viewer in viewers),
        views=viewers[0].views.count,
        members=tuple(results) if len(results) > 1 else (),
        disagreements=None if decide is None else _disagreements([*map(decide, scores)]),
        mirrors_unseen=any(
            viewer.views.mirrored and _is_unmirrored(viewer.model) for viewer in viewers
        ),
        left_out=images.left_out,
        images=images,
        answers=ImageScores(whole, images.targets) if has_quality else None,
        loss=LOSS_OF_MEAN if hasattr(task, "together") else usual,
    )


def _disagreements(decided: Sequence[Tensor]) -> int:
    every = torch.stack([each.flatten(1) if each.ndim > 1 else each[:, None] for each in decided])
    return int((every != every[0]).any(dim=2).any(dim=0).sum())


def _scores(viewer: Viewer, images: SplitImages) -> Tensor:
    found: list[Tensor] = []
    count = len(images.part)

    def read() -> Iterator[tuple[range, list[list[Tensor] | Refusal]]]:
        for start in range(0, count, _READ):
            numbers = range(start, min(start + _READ, count))
            yield numbers, viewer.read_all(lambda number, _: (images.part, number), numbers)

    with bar(images.split, total=count) as shown:
        for numbers, results in read_ahead(read()):
            scores, errors = viewer.scores(results, classes=images.classes, stop_at_errors=True)
            for row, error in errors.items():
                if isinstance(error, UnreadableImageError):
                    raise error
                what, remedy = halves(error)
                label = images.label(numbers[row])
                message = f"{viewer.model.path} cannot evaluate {label}: {what}"
                raise DataError(message, remedy=remedy)
            found.append(scores)
            shown.update(len(numbers))
    return torch.cat(found)


def _selected(model: Model, split: Split) -> bool:
    """Whether it is by its result on these images that the weights were chosen."""
    return split == "validation" and model.is_best


def _is_unmirrored(model: Model) -> bool:
    """Whether it is known how the network was trained, from its first step, and not mirrored."""
    config = model.loaded.config
    names = [call.name for call in config.data.transforms.train]
    return config.finetune is None and "horizontal_flip" not in names


def _refuse_seen(model: Model, images: SplitImages) -> None:
    """Networks that held other images out for validation have learnt from some of these."""
    ours, theirs = images.model.loaded.config, model.loaded.config
    if images.split != "validation" or theirs.train is None:
        return
    held_out = [
        (
            replace(each.data.holdout(seed=each.seed), train=None),
            each.data.name,
            each.data.parameters,
        )
        for each in (ours, theirs)
    ]
    is_chosen = images.chosen or theirs.data.split.validation is not None
    if is_chosen and held_out[0] != held_out[1]:
        raise UsageError(
            f"{model.path} was trained on some of the validation images of {images.model.path}: it "
            "held others out",
            remedy="use --split test, or train all with the same seed and data section",
        )
