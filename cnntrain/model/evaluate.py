"""Evaluating trained networks on a split of their data: one, or several as a committee."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.assemble.parts import (
    apply_threads,
    choose_device,
    make_criterion,
    only_these,
    place,
    reading,
)
from cnntrain.core.errors import DataError, UsageError
from cnntrain.data.crops import Crops
from cnntrain.data.decode import UnreadableImageError
from cnntrain.model.ensemble import Member, check_classes, is_run_file, make_member
from cnntrain.model.model import Trained, open_trained
from cnntrain.model.splits import OneSplit, Split, find_split, open_split
from cnntrain.record.progress import bar
from cnntrain.tasks import Classification, ClassificationSums
from cnntrain.train import evaluate, make_deterministic

CHANGEABLE = ("data", "compute.device", "compute.threads", "plugins")
"""What `-s` may change: where things are and how images are read, not how they are prepared."""


@dataclass(frozen=True)
class Evaluated:
    """The result of an evaluation, and what was evaluated.

    Args:
        trained: the network; of a committee the first.
        classes: the rows and columns of the confusion matrix.
        split: the images.
        metrics: how well they were classified.
        selected: whether these images selected the weights, so that the result is optimistic.
        views: of each image, mirrored ones included.
        members: of a committee, what each network does by itself; none for one network.
        disagreements: images on which the members do not all say the same class.
        mirrors_unseen: whether views are mirrored though a network learnt no mirrored images.
    """

    trained: Trained
    classes: tuple[str, ...]
    split: Split
    metrics: Classification
    selected: bool
    views: int = 1
    members: tuple[tuple[Trained, Classification], ...] = ()
    disagreements: int = 0
    mirrors_unseen: bool = False


def evaluate_run(
    path: Path, *, split: Split | None = None, overrides: Sequence[str] = ()
) -> Evaluated:
    """Classify a split with the best weights of a run, as they were evaluated while training.

    Preprocessing and classes come from the checkpoint, so the result is the logged one.

    Args:
        path: a run's folder, `runs/NAME` for its latest, or a checkpoint file.
        split: the test set if there is one, else validation.
        overrides: changes; see `CHANGEABLE`.

    Raises:
        CheckpointError: the checkpoint is missing, damaged, or of other classes.
        UsageError: there is no such split.
    """
    trained = open_to_evaluate(path, overrides)
    compute = trained.loaded.config.compute
    apply_threads(compute)
    make_deterministic(compute.deterministic)
    device = choose_device(compute, trained.loaded)
    chosen = find_split(trained.loaded, split)
    data = open_split(chosen, trained, device=device)
    check_classes(trained, data.classes)
    place(trained.net, compute=compute, device=device)
    criterion = make_criterion(trained.loaded, data=data, device=device)
    with reading(data, trained.loaded):
        metrics = evaluate(
            trained.net, data.loader, criterion=criterion, precision=compute.precision
        )
    return Evaluated(trained, trained.classes, chosen.name, metrics, _selected(trained, chosen))


def evaluate_views(
    paths: Sequence[Path],
    *,
    split: Split | None = None,
    crops: Crops = "center",
    scales: Sequence[int] = (),
    overrides: Sequence[str] = (),
) -> Evaluated:
    """Classify a split by the mean of the softmax over views of each image, and over networks.

    Of a committee each network has its own preprocessing; the images are those of the first one's
    data. Ciresan, Meier, Schmidhuber, "Multi-column Deep Neural Networks for Image Classification",
    2012, section 2; Krizhevsky et al. 2012, section 6.1. The loss is the mean of -log of the
    averaged probability of the true class, whatever the networks were trained with.

    Args:
        paths: runs' folders, `runs/NAME` for the latest, or checkpoint files.
        split: the test set if there is one, else validation.
        crops: the views of each image; see `cnntrain.data.crops`.
        scales: for `dense`, lengths of the images' shorter side.
        overrides: changes for each of the runs; see `CHANGEABLE`.

    Raises:
        CheckpointError: a checkpoint is missing, damaged, or of other classes.
        UsageError: there is no such split, a network cannot be given such views, or it was trained
            on some of these images.
        DataError: an image is unreadable, or not of the size that a network takes.
    """
    members = [
        make_member(open_to_evaluate(path, overrides), crops=crops, scales=scales) for path in paths
    ]
    first = members[0].trained
    make_deterministic(first.loaded.config.compute.deterministic)
    chosen = find_split(first.loaded, split)
    for member in members:
        check_classes(member.trained, chosen.classes, any_order=len(members) > 1)
        _refuse_seen(member.trained, first, chosen)
    results: list[tuple[Trained, Classification]] = []
    said: list[Tensor] = []
    total = torch.zeros(())
    for member in members:
        scores = _answers(member, chosen)
        results.append((member.trained, _metrics(scores, chosen)))
        said.append(scores.argmax(dim=1))
        total = scores if len(said) == 1 else torch.logaddexp(total, scores)
    return Evaluated(
        first,
        chosen.classes,
        chosen.name,
        _metrics(total - math.log(len(members)), chosen),
        any(_selected(member.trained, chosen) for member in members),
        views=members[0].views.count,
        members=tuple(results) if len(results) > 1 else (),
        disagreements=int((torch.stack(said) != said[0]).any(dim=0).sum()),
        mirrors_unseen=any(member.views.mirrored and _is_unmirrored(member) for member in members),
    )


def _selected(trained: Trained, split: OneSplit) -> bool:
    """Whether it is by its result on these images that the weights were chosen."""
    return split.name == "validation" and trained.is_best


def _is_unmirrored(member: Member) -> bool:
    """Whether it is known how the network was trained, from its first step, and not mirrored."""
    config = member.trained.loaded.config
    names = [call.name for call in config.data.transforms.train]
    return config.finetune is None and "horizontal_flip" not in names


def _refuse_seen(trained: Trained, first: Trained, split: OneSplit) -> None:
    """Networks that held other images out for validation have learnt from some of these."""
    ours, theirs = first.loaded.config, trained.loaded.config
    if split.name != "validation" or theirs.train is None:
        return
    held_out = [
        (each.data.held_out, each.seed, each.data.name, each.data.parameters)
        for each in (ours, theirs)
    ]
    if any(of is not None for of, *_ in held_out) and held_out[0] != held_out[1]:
        raise UsageError(
            f"{trained.path} was trained on some of the validation images of {first.path}: it "
            "held others out",
            remedy="use --split test, or train all with the same seed and data section",
        )


def open_to_evaluate(path: Path, overrides: Sequence[str]) -> Trained:
    """The network; the values of a run file are all still open, those of a run are not."""
    if not is_run_file(path):
        only_these(list(overrides), allowed=CHANGEABLE, doing="a checkpoint is evaluated")
        if any(text.startswith("data.transforms") for text in overrides):
            raise UsageError(
                "-s data.transforms cannot change when a checkpoint is evaluated",
                remedy="images are prepared as the checkpoint says; for others train a new run",
            )
    return open_trained(path, overrides)


def _answers(member: Member, split: OneSplit) -> Tensor:
    with bar(split.name, total=len(split.part)) as shown:
        found = member.answers(
            split.part, classes=split.classes, go_on=False, progress=shown.update
        )
    for number, error in found.errors.items():
        if isinstance(error, UnreadableImageError):
            raise error
        message, _, remedy = str(error).partition("; ")
        label = split.part.label(number)
        raise DataError(f"{member.trained.path} cannot classify {label}: {message}", remedy=remedy)
    return found.scores


def _metrics(scores: Tensor, split: OneSplit) -> Classification:
    targets = split.part.targets
    sums = ClassificationSums(num_classes=scores.shape[1], device=scores.device)
    sums.add(scores, targets, loss=F.nll_loss(scores, targets), weight=len(targets))
    return sums.compute()
