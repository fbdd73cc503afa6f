"""torchvision's published weights: which there are, what is known of them, and fetching them."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import dataclass
from http.client import HTTPException
from math import isnan
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch

from cnntrain.assemble.transfer.name_maps import arch_for, map_file
from cnntrain.config.nearest import did_you_mean, nearest
from cnntrain.core.atomic import disk_errors
from cnntrain.core.errors import CheckpointError, ConfigError

LOG = logging.getLogger("cnntrain.weights")

INCEPTIONS = ("googlenet", "inception_v3")
_LICENCES = {"https://github.com/facebookresearch/SWAG/blob/main/LICENSE": "CC-BY-NC 4.0"}
"""By torchvision's link to their text, as its README names it ("Pre-trained Model License")."""
MINUS_1_TO_1 = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
"""What `transform_input` of these networks of torchvision makes of normalised images."""


@dataclass(frozen=True)
class Published:
    """A set of weights that torchvision knows.

    Args:
        name: `model/weights`.
        url: where it is downloaded from.
        path: where it is kept.
        classes: the names of its outputs; None where it has none (IMAGENET1K_FEATURES).
        steps: how its images were prepared.
        crop: side of the square images that it was scored with, in pixels.
        top1, top5: the share of ImageNet's validation images that it has right, as published (of
            top5 among its five likeliest classes); None where it was not scored.
        parameters: their number as torchvision counts them, with Inception's training head, without
            GoogLeNet's.
        size: of the file, in bytes.
        licence: as torchvision states it; None where it states none.
        arch: our architecture for them, `archs/NAME`; None where none is shipped.
    """

    name: str
    url: str
    path: Path
    classes: tuple[str, ...] | None
    steps: tuple[dict[str, Any], ...]
    crop: int
    top1: float | None
    top5: float | None
    parameters: int
    size: int
    licence: str | None
    arch: str | None


def find_published(text: str) -> Published:
    """The weights of that name; nothing is downloaded.

    Args:
        text: `model/weights`, such as resnet50/IMAGENET1K_V2.

    Raises:
        ConfigError: there are none.
    """
    from torchvision.models import get_model_weights

    model, _, weights = text.partition("/")
    if model not in _models():
        message = f"torchvision has no classification model '{model}'"
        near = nearest(model, dict.fromkeys(known_models(), ()))
        raise ConfigError(message, remedy=did_you_mean(near, kind="weights"))
    choices = {member.name: member for member in get_model_weights(model)}
    if weights not in choices:
        message = f"'{text}' names no weights that torchvision has for '{model}'"
        names = ", ".join(f"{model}/{name}" for name in choices)
        raise ConfigError(message, remedy=f"write {names}")
    return _published(model, choices[weights])


def published_for(model: str) -> tuple[Published, ...]:
    """All weights that torchvision has for one of its models; nothing is downloaded."""
    from torchvision.models import get_model_weights

    return tuple(_published(model, member) for member in get_model_weights(model))


def _published(model: str, weights: Any) -> Published:
    """What torchvision says of a member of its enumeration of a model's weights."""
    meta, transforms = weights.meta, weights.transforms()
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    scores = meta["_metrics"]["ImageNet-1K"]  # in percent; nan where there is no classifier
    top1, top5 = (
        None if isnan(percent) else round(percent / 100, 5)
        for percent in (scores["acc@1"], scores["acc@5"])
    )
    return Published(
        name=f"{model}/{weights.name}",
        url=weights.url,
        path=folder / Path(urlparse(weights.url).path).name,
        classes=tuple(meta["categories"]) if meta.get("categories") else None,
        steps=_steps(model, transforms),
        crop=transforms.crop_size[0],
        top1=top1,
        top5=top5,
        parameters=meta["num_params"],
        size=round(meta["_file_size"] * 2**20),
        licence=_LICENCES.get(stated, stated) if (stated := meta.get("license")) else None,
        arch=arch_for(model),
    )


def fetch(published: Published) -> Path:
    """The file of the weights, downloaded and its checksum compared if it is not there yet.

    Raises:
        CheckpointError: it cannot be downloaded.
    """
    path = published.path
    if path.is_file():
        return path
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
    LOG.info("downloading %s to %s", published.url, path)
    checksum = re.search(r"-([0-9a-f]{8,})\.", path.name)
    try:
        torch.hub.download_url_to_file(
            published.url,
            str(path),
            hash_prefix=checksum[1] if checksum else None,
            progress=sys.stderr.isatty(),
        )
    except (OSError, HTTPException, RuntimeError) as error:  # a wrong checksum is a RuntimeError
        raise CheckpointError(
            f"torchvision's {published.name} is not on this machine, and downloading "
            f"{published.url} failed: {str(error) or type(error).__name__}",
            remedy=f"fetch that file elsewhere, and save it as {path}",
        ) from error
    return path


def known_models() -> list[str]:
    """The models of torchvision whose weights can be loaded: they have a map of names."""
    return [model for model in _models() if map_file(model, publisher="torchvision") is not None]


def _models() -> list[str]:
    """torchvision's models for classification, in floating point."""
    # Here, not above: importing torchvision takes seconds, and most runs do without it.
    from torchvision import models

    return list(models.list_models(module=models))


def _steps(model: str, transforms: Any) -> tuple[dict[str, Any], ...]:
    """torchvision's evaluation transforms as ours."""
    numbers = {"mean": list(transforms.mean), "std": list(transforms.std)}
    return (
        {
            "name": "resize",
            "size": transforms.resize_size[0],
            "interpolation": transforms.interpolation.value,
        },
        {"name": "center_crop", "size": transforms.crop_size[0]},
        {"name": "normalize", **(MINUS_1_TO_1 if model in INCEPTIONS else numbers)},
    )
