"""Where `finetune.weights` come from: torchvision, a run, or any file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from cnntrain.assemble.transfer.about import KEY, plain_steps
from cnntrain.assemble.transfer.torchvision_weights import fetch, find_published, names_of
from cnntrain.checkpoint import load
from cnntrain.checkpoint.foreign import Rule, rules_of
from cnntrain.checkpoint.state_dicts import read_metadata, read_state_dict
from cnntrain.config.loaded import Loaded
from cnntrain.config.train_section import WeightsSection
from cnntrain.core.errors import CheckpointError, CnntrainError, ConfigError
from cnntrain.runs.contents import classes_in, steps_in, weights_in
from cnntrain.runs.locate import find_run

WEIGHTS = ("finetune", "weights")
RENAME = (*WEIGHTS, "rename")


@dataclass(frozen=True)
class Source:
    """Weights that were trained before.

    Args:
        name: what to call them in a message.
        path: their file.
        tensors: by the names that they have there.
        rules: the map of names, ours to theirs; empty: the names are ours.
        classes: the names of their outputs; None: nobody knows.
        epoch: of the run that they are from; 0: nobody knows.
        steps: how images were prepared for them; None: nobody knows.
    """

    name: str
    path: Path
    tensors: Mapping[str, Tensor]
    rules: tuple[Rule, ...]
    classes: tuple[str, ...] | None = None
    epoch: int = 0
    steps: tuple[dict[str, Any], ...] | None = None


def read_source(loaded: Loaded) -> Source:
    """The weights that a run file starts from, on the CPU.

    Raises:
        CheckpointError: they cannot be read, or not be downloaded.
        ConfigError: there are none of that name, or the map of names is wrong.
    """
    weights = _weights(loaded)
    rules = name_rules(loaded)
    with at_source(loaded):
        if weights.torchvision is not None:
            published = find_published(weights.torchvision)
            path = fetch(published)
            name = f"torchvision's {published.name}"
            tensors = read_state_dict(path)
            steps = published.steps or None
            return Source(name, path, tensors, rules, published.classes, steps=steps)
        if weights.run is not None:
            path = find_run(Path(weights.run)).to_evaluate()
            state = load(path)
            _, tensors = weights_in(state, path=path)
            train = state.get("train")
            epoch = train.get("epoch") if isinstance(train, dict) else None
            return Source(
                str(path),
                path,
                tensors,
                rules,
                classes_in(state, path=path),
                int(epoch or 0),
                steps_in(state, path=path),
            )
        path = Path(weights.file or "")
        tensors, told = read_state_dict(path), _told(path)
        return Source(str(path), path, tensors, rules, told.classes, told.epoch, told.steps)


def known_steps(loaded: Loaded) -> tuple[dict[str, Any], ...] | None:
    """How images were prepared for the weights of a run file; None: their file does not tell.

    Nothing is downloaded. A run's checkpoint is read, and the metadata of a file.

    Raises:
        CheckpointError: there is no sound checkpoint.
        ConfigError: there are no weights of that name, or their images are prepared in a way that
            cnntrain does not know.
    """
    weights = _weights(loaded)
    with at_source(loaded):
        if weights.torchvision is not None:
            steps = find_published(weights.torchvision).steps
            if steps:
                return steps
            message = f"the images of {weights.torchvision} are not resized as cnntrain does it"
            raise ConfigError(message, remedy="say in data.transforms how they are prepared")
        if weights.run is not None:
            path = find_run(Path(weights.run)).to_evaluate()
            return steps_in(load(path), path=path)
        return _told(Path(weights.file or "")).steps


@dataclass(frozen=True)
class _Told:
    """What a file that cnntrain exported says of its weights; of another file nothing."""

    classes: tuple[str, ...] | None = None
    epoch: int = 0
    steps: tuple[dict[str, Any], ...] | None = None


def _told(path: Path) -> _Told:
    text = read_metadata(path).get(KEY)
    if text is None:
        return _Told()
    try:
        about = json.loads(text)
        classes = tuple(map(str, about["classes"]))
        return _Told(classes, int(about["epoch"] or 0), plain_steps(about["preprocessing"]))
    except (ValueError, TypeError, KeyError) as error:
        message = f"the metadata of {path} are not as cnntrain wrote them"
        raise CheckpointError(message, remedy="export it again") from error


def name_rules(loaded: Loaded) -> tuple[Rule, ...]:
    """The map of names: the run file's, else the shipped one for that model of torchvision.

    Raises:
        ConfigError: it is wrong, at its line; or there is none for that model.
    """
    weights = _weights(loaded)
    if weights.rename is not None:
        return rules_of(loaded.document, RENAME)
    if weights.torchvision is None:
        return ()
    with at_source(loaded):
        model = find_published(weights.torchvision).name.partition("/")[0]
        rules = names_of(model)
        if rules is None:
            message = f"cnntrain has no map of names for torchvision's '{model}'"
            raise ConfigError(message, remedy="give one: `rename: {our.name.*: its.name.*}`")
    return rules


@contextmanager
def at_source(loaded: Loaded) -> Iterator[None]:
    """What is wrong with the weights, said at the line that names them."""
    given = [key for key, value in _weights(loaded) if value is not None]
    here = loaded.document.places.of((*WEIGHTS, given[0]))
    try:
        yield
    except CnntrainError as error:
        problem = error.problems[0]
        if problem.place is not None:
            raise
        raise type(error)(problem.message, remedy=problem.remedy, place=here) from error


def _weights(loaded: Loaded) -> WeightsSection:
    assert loaded.config.finetune is not None
    return loaded.config.finetune.weights
