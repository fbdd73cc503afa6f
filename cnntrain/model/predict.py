"""Classifying image files with a trained network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from cnntrain.assemble.parts import only_these
from cnntrain.core.errors import UsageError
from cnntrain.data.crops import Crops
from cnntrain.data.decode import SUFFIXES, UnreadableImageError
from cnntrain.data.folders import list_images
from cnntrain.data.splits import Files
from cnntrain.model.ensemble import Member, check_classes, is_run_file, make_member
from cnntrain.model.model import open_trained
from cnntrain.record.progress import bar
from cnntrain.train.averaging import mean_of

BATCH = 64

CHANGEABLE = ("compute.device", "compute.threads", "plugins")
"""What `-s` may change."""


@dataclass(frozen=True)
class Prediction:
    """What one image was taken for.

    Args:
        file: the image.
        ranking: class names with their probabilities, the most probable first; empty where the
            file cannot be read.
        error: why it cannot be read.
    """

    file: Path
    ranking: tuple[tuple[str, float], ...]
    error: str = ""


def image_files(paths: Sequence[Path]) -> list[Path]:
    """The files themselves, and the images in folders and in what is inside them, in order.

    Hidden files and folders are passed over.

    Raises:
        UsageError: a path is not there, or there is no image at all.
    """
    files: list[Path] = []
    for path in paths:
        if path.is_dir():
            files += list_images(path).images
        elif path.exists():
            files.append(path)
        else:
            raise UsageError(f"there is no file or folder {path}", remedy="check the path")
    if not files:
        known = ", ".join(sorted(SUFFIXES))
        raise UsageError(
            f"there is no image in {', '.join(map(str, paths))}",
            remedy=f"images end in {known}; the run comes first: `cnntrain predict RUN PATH...`",
        )
    return files


def predict(
    path: Path,
    files: Sequence[Path],
    *,
    others: Sequence[Path] = (),
    top: int = 5,
    crops: Crops = "center",
    scales: Sequence[int] = (),
    overrides: Sequence[str] = (),
) -> Iterator[Prediction]:
    """Classify image files, each network with the preprocessing of its checkpoint.

    Args:
        path: a run's folder, `runs/NAME` for its latest, a checkpoint file, or a run file with
            `finetune.weights`.
        files: image files.
        others: likewise; the probabilities of all are averaged.
        top: how many classes to tell for each.
        crops: the views of each image; see `cnntrain.data.crops`.
        scales: for `dense`, lengths of the images' shorter side.
        overrides: changes for each of the runs; see `CHANGEABLE`.

    Yields:
        One prediction per file, in their order.

    Raises:
        CheckpointError: a checkpoint is missing, damaged, or of other classes than the first.
        UsageError: a network cannot be given such views.
    """
    paths = [path, *others]
    if not all(is_run_file(each) for each in paths):
        only_these(list(overrides), allowed=CHANGEABLE, doing="images are classified")
    opened = [open_trained(each, overrides) for each in paths]
    members = [make_member(trained, crops=crops, scales=scales) for trained in opened]
    classes = opened[0].classes
    for trained in opened:
        check_classes(trained, classes, whose=str(opened[0].path), any_order=True)
    with bar("images", total=len(files)) as shown:
        for start in range(0, len(files), BATCH):
            batch = files[start : start + BATCH]
            yield from _classify(members, batch, classes=classes, top=top)
            shown.update(len(batch))


def _classify(
    members: Sequence[Member], files: Sequence[Path], *, classes: tuple[str, ...], top: int
) -> Iterator[Prediction]:
    errors: dict[int, str] = {}
    scores = []
    for member in members:
        part = Files(
            tuple(files), torch.zeros(len(files), dtype=torch.int64), member.trained.in_shape[0]
        )
        answers = member.answers(part, classes=classes, go_on=True)
        scores.append(answers.scores)
        for number, error in answers.errors.items():
            reason = error.reason if isinstance(error, UnreadableImageError) else str(error)
            errors.setdefault(number, reason)
    best = mean_of(scores).exp().topk(min(top, len(classes)), dim=1)
    ranked = zip(files, best.values.tolist(), best.indices.tolist(), strict=True)
    for number, (file, values, indices) in enumerate(ranked):
        ranking = tuple((classes[i], p) for i, p in zip(indices, values, strict=True))
        reason = errors.get(number, "")
        yield Prediction(file, () if reason else ranking, reason)
