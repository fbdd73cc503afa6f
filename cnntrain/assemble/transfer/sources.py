"""Where `finetune.weights` come from: torchvision, the hub, a run, or any file."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from cnntrain.assemble.transfer.about import KEY, plain_steps
from cnntrain.assemble.transfer.hub_weights import (
    OnHub,
    classes_on_hub,
    fetch_weights,
    find_on_hub,
    names_on_hub,
    notes_on_hub,
    steps_on_hub,
)
from cnntrain.assemble.transfer.name_maps import map_of
from cnntrain.assemble.transfer.torchvision_weights import (
    fetch,
    find_published,
)
from cnntrain.checkpoint.foreign import Rule, rules_of
from cnntrain.checkpoint.state_dicts import ForeignWeights, read_metadata, read_weights
from cnntrain.config.loaded import Loaded
from cnntrain.config.rules import SOURCES
from cnntrain.config.train_section import WeightsSection
from cnntrain.core.errors import CheckpointError, CnntrainError, ConfigError
from cnntrain.data.image_targets import uncorrupted
from cnntrain.runs.contents import (
    classes_in,
    contents_to_evaluate,
    epoch_in,
    steps_in,
    weights_in,
)
from cnntrain.runs.kept_targets import targets_in, targets_of_weights
from cnntrain.runs.locate import find_run
from cnntrain.tasks.targets import Targets

WEIGHTS = ("finetune", "weights")


@dataclass(frozen=True)
class Source:
    """Weights that were trained before.

    Args:
        name: what to call them in a message.
        path: their file.
        read: reads it, and downloads it first if it has to be.
        classes: the names of their outputs; None: unknown.
        epoch: of the run that they are from; 0: unknown.
        steps: how images were prepared for them; None: unknown.
        notes: what must be known of them, such as that they are not the best ones.
        tensors: by the names that they have there, once they have been read.
        rules: the map of names, ours to theirs; empty: the names are ours.
        entry, others: as in `ForeignWeights`.
        arch: the shipped architecture that they are of; None: unknown.
        targets: what they learnt; None: unknown.
    """

    name: str
    path: Path
    read: Callable[[], ForeignWeights]
    classes: tuple[str, ...] | None = None
    epoch: int = 0
    steps: tuple[dict[str, Any], ...] | None = None
    notes: tuple[str, ...] = ()
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    rules: tuple[Rule, ...] = ()
    entry: str = ""
    others: tuple[str, ...] = ()
    arch: str | None = None
    targets: Targets | None = None


def read_source(loaded: Loaded) -> Source:
    """The weights that a run file starts from, on the CPU.

    Raises:
        CheckpointError: they cannot be read, or not be downloaded.
        ConfigError: there are none of that name, or the map of names is wrong.
    """
    rules = name_rules(loaded)
    with at_source(loaded):
        source = _find(loaded)
        found = source.read()
    return replace(
        source,
        path=found.path,
        tensors=found.tensors,
        rules=rules,
        entry=found.entry,
        others=found.others,
    )


def known_steps(loaded: Loaded) -> tuple[dict[str, Any], ...] | None:
    """How images were prepared for the weights of a run file; None: their file does not say.

    Nothing is downloaded but a config.json of the hub. A run's checkpoint is read, and the metadata
    of a file.

    Raises:
        CheckpointError: there is no sound checkpoint.
        ConfigError: there are no weights of that name.
    """
    with at_source(loaded):
        return _find(loaded).steps


def pinned(loaded: Loaded) -> Loaded:
    """The run file with the commit of the hub's weights, which it finds again whatever changes.

    Raises:
        CheckpointError: they are neither in the cache, nor can they be fetched.
    """
    finetune, weights = loaded.config.finetune, _weights(loaded)
    if finetune is None or weights.hub is None:
        return loaded
    with at_source(loaded):
        commit = {"revision": _on_hub(loaded).revision}
    changed = finetune.model_copy(update={"weights": weights.model_copy(update=commit)})
    return replace(loaded, config=loaded.config.model_copy(update={"finetune": changed}))


def _on_hub(loaded: Loaded) -> OnHub:
    weights = _weights(loaded)
    assert weights.hub is not None
    download = weights.download and loaded.may_download
    return find_on_hub(weights.hub, revision=weights.revision, download=download)


def _find(loaded: Loaded) -> Source:
    """The weights, not read yet, and what is known of them."""
    weights = _weights(loaded)
    if weights.torchvision is not None:
        published = find_published(weights.torchvision)
        return Source(
            f"torchvision's {published.name}",
            published.path,
            lambda: read_weights(fetch(published)),
            published.classes,
            steps=published.steps,
            arch=published.arch,
        )
    if weights.hub is not None:
        there = _on_hub(loaded)
        return Source(
            f"{there.name} at {there.revision[:12]}",
            Path(there.name),
            lambda: read_weights(fetch_weights(there), entry=weights.entry),
            classes_on_hub(there),
            steps=steps_on_hub(there),
            notes=notes_on_hub(there),
        )
    if weights.run is not None:
        found = contents_to_evaluate(find_run(Path(weights.run)))
        path, state = found.path, found.state
        steps = steps_in(state, path=path)
        if loaded.config.task.form != "image":  # what corrupts belongs to an autoencoder's task
            steps = tuple(dict(step) for step in uncorrupted(steps))
        return Source(
            str(path),
            path,
            lambda: ForeignWeights(path, weights_in(state, path=path)[1]),
            classes_in(state, path=path),
            epoch_in(state)[0],
            steps,
            found.notes,
            targets=targets_of_weights(state, path=path),
        )
    return _file_source(Path(weights.file or ""), entry=weights.entry)


_NOT_OURS = (ValueError, TypeError, KeyError, OverflowError, RecursionError)


def _file_source(path: Path, *, entry: str | None) -> Source:
    """A file; one that cnntrain exported says what is known of its weights."""
    source = Source(str(path), path, lambda: read_weights(path, entry=entry))
    text = read_metadata(path).get(KEY)
    if text is None:
        return source
    try:
        about: Any = json.loads(text)
        if not isinstance(about, dict):
            raise TypeError
        targets = about.get("targets", {"form": "classes", "mean": [], "std": []})
        state = {"classes": about[targets["form"]], "targets": targets}
        return replace(
            source,
            classes=classes_in(state, path=path),
            targets=targets_in(state, path=path),
            epoch=int(about["epoch"] or 0),
            steps=plain_steps(about["preprocessing"]),
        )
    except (*_NOT_OURS, CheckpointError) as error:
        message = f"the metadata of {path} are not as cnntrain wrote them"
        raise CheckpointError(message, remedy="export it again") from error


def name_rules(loaded: Loaded) -> tuple[Rule, ...]:
    """The map of names: the run file's, else the shipped one for that model of torchvision.

    Raises:
        ConfigError: it is wrong, at its line; or there is none for that model.
    """
    weights = _weights(loaded)
    if weights.rename is not None:
        return rules_of(loaded.document, (*WEIGHTS, "rename"))
    if weights.hub is not None:
        with at_source(loaded):
            return names_on_hub(_on_hub(loaded))
    if weights.torchvision is None:
        return ()
    with at_source(loaded):
        model = find_published(weights.torchvision).name.partition("/")[0]
        rules = map_of(model, "torchvision")
        if rules is None:
            message = f"cnntrain has neither torchvision's '{model}' nor a map of its names"
            remedy = "`cnntrain list weights` shows those that it knows; or write the network in "
            remedy += "`arch`, and `rename: {our.name.*: its.name.*}`"
            raise ConfigError(message, remedy=remedy)
    return rules


@contextmanager
def at_source(loaded: Loaded) -> Iterator[None]:
    """What is wrong with the weights, said at the line that names them."""
    given = next(key for key in SOURCES if getattr(_weights(loaded), key) is not None)
    here = loaded.document.places.of((*WEIGHTS, given))
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
