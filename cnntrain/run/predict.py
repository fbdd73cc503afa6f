"""Classifying image files with a trained network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.data.decode import SUFFIXES, UnreadableImageError
from cnntrain.data.folders import list_images
from cnntrain.data.load import load_image
from cnntrain.run.assemble import (
    apply_threads,
    choose_device,
    only_these,
    place,
    uses_channels_last,
)
from cnntrain.run.finding import find_run
from cnntrain.run.saved import Trained, load_trained
from cnntrain.train.precision import autocast

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
            f"there is no image in {', '.join(map(str, paths))}", remedy=f"images end in {known}"
        )
    return files


def predict(
    path: Path, files: Sequence[Path], *, top: int = 5, overrides: Sequence[str] = ()
) -> Iterator[Prediction]:
    """Classify image files with the preprocessing of the checkpoint.

    Args:
        path: a run's folder, `runs/NAME` for its latest, or a checkpoint file.
        files: image files.
        top: how many classes to tell for each.
        overrides: changes; see `CHANGEABLE`.

    Yields:
        One prediction per file, in their order.
    """
    only_these(list(overrides), allowed=CHANGEABLE, doing="images are classified")
    trained = load_trained(find_run(path).to_evaluate(), overrides=list(overrides))
    compute = trained.loaded.config.compute
    apply_threads(compute)
    device = choose_device(compute, trained.loaded)
    place(trained.net, compute=compute, device=device)
    layout = uses_channels_last(compute, device)
    memory_format = torch.channels_last if layout else torch.contiguous_format
    for start in range(0, len(files), BATCH):
        chunk = files[start : start + BATCH]
        images, errors = _read(trained, chunk)
        rankings = _classify(trained, images, device=device, memory_format=memory_format, top=top)
        for index, file in enumerate(chunk):
            yield Prediction(file, rankings.get(index, ()), errors.get(index, ""))


def _read(trained: Trained, files: Sequence[Path]) -> tuple[dict[int, Tensor], dict[int, str]]:
    """The images that can be classified, and why the others cannot, by position."""
    images, errors = {}, {}
    channels = trained.in_shape[0]
    for index, file in enumerate(files):
        try:
            image = load_image(file, trained.pipeline, channels=channels)
        except UnreadableImageError as error:
            errors[index] = error.reason
        except ValueError as error:  # a transform refuses the image: too small for a crop, say
            errors[index] = str(error)
        else:
            if tuple(image.shape[1:]) == trained.in_shape:
                images[index] = image
            else:
                errors[index] = _other_size(tuple(image.shape[1:]), trained.in_shape)
    return images, errors


def _other_size(found: tuple[int, ...], expected: tuple[int, ...]) -> str:
    shapes = [" x ".join(map(str, shape)) for shape in (found, expected)]
    return (
        f"is {shapes[0]} after its transforms, but the network was evaluated on {shapes[1]} "
        "(channels x height x width); resize it"
    )


@torch.inference_mode()
def _classify(
    trained: Trained,
    images: dict[int, Tensor],
    *,
    device: torch.device,
    memory_format: torch.memory_format,
    top: int,
) -> dict[int, tuple[tuple[str, float], ...]]:
    if not images:
        return {}
    batch = torch.cat(list(images.values())).to(device, memory_format=memory_format)
    with autocast(trained.loaded.config.compute.precision, device):
        logits = trained.net(batch)
    probabilities = logits.float().softmax(dim=1)
    best = probabilities.topk(min(top, len(trained.classes)), dim=1)
    values, indices = best.values.tolist(), best.indices.tolist()
    return {
        index: tuple((trained.classes[i], p) for p, i in zip(ps, chosen, strict=True))
        for index, ps, chosen in zip(images, values, indices, strict=True)
    }
