"""What checks are given: each asks for a part of the set-up by the name of its keyword."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cnntrain.core.entry import Entry
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place, suggestion
from cnntrain.diagnose.setup import Patient
from cnntrain.optim import Warmup

SMALL, FEW = 32, 64
"""Images of a batch that only has to be typical, and of those that are to be memorised."""

FILLED: Mapping[str, Callable[[Patient], Any]] = {
    # the network
    "net": lambda it: it.net,
    "trained": lambda it: it.trained or it.net,
    "is_trained": lambda it: it.trained is not None,
    "is_pretrained": lambda it: it.is_pretrained,
    # how it trains
    "method": lambda it: it.method,
    "bare": lambda it: it.bare,
    "without": lambda it: it.without,
    "criterion": lambda it: it.prepared.criterion,
    "applies": lambda it: it.prepared.loaded.train.loss.applies,
    "warmup": lambda it: _warmup(it),
    "shares": lambda it: _shares(it),
    # images
    "augmented": lambda it: it.augmented,
    "batches": lambda it: it.plain,
    "batch": lambda it: it.listed(it.effort.images),
    "small_batch": lambda it: it.listed(SMALL),
    "few": lambda it: it.listed(FEW),
    "train": lambda it: it.samples.train,
    "other": lambda it: it.samples.other,
    "shared": lambda it: it.samples.shared,
    # the data as a whole
    "classes": lambda it: len(it.classes),
    "class_names": lambda it: it.classes,
    "counts": lambda it: it.prepared.data.counts,
    "is_weighted": lambda it: _is_weighted(it),
    "train_images": lambda it: it.prepared.data.train.size,
    "batch_size": lambda it: it.prepared.loaded.config.data.batch_size,
    "drops_last": lambda it: it.prepared.loaded.config.data.drop_last,
    "loader": lambda it: it.run_data.train,
    "data_cure": lambda it: it.data_cure,
    # how much is done
    "steps": lambda it: it.effort.steps,
    "recipe_steps": lambda it: it.effort.recipe_steps,
    "overfit_steps": lambda it: it.effort.overfit_steps,
    "step_images": lambda it: it.effort.batch,
    "weights": lambda it: it.effort.weights,
}
"""Name of a check's keyword -> what it is given."""


def keywords(entry: Entry, patient: Patient) -> dict[str, Any]:
    """What a check asks for.

    Raises:
        ConfigError: it asks for something that there is not.
    """
    for parameter in entry.parameters:
        if parameter.required:
            message = f"the check '{entry.name}' asks for '{parameter.name}', which there is not"
            remedy = suggestion(parameter.name, FILLED)
            raise ConfigError(message, remedy=remedy, place=Place(str(entry.file), entry.line, 1))
    return {name: FILLED[name](patient) for name in entry.filled}


def _warmup(patient: Patient) -> int:
    schedule = patient.prepared.recipe.schedule
    return schedule.steps if isinstance(schedule, Warmup) else 0


def _shares(patient: Patient) -> tuple[float, ...]:
    """The share of the full rate that each step of the run has."""
    recipe, loader = patient.prepared.recipe, patient.prepared.data.train
    return tuple(map(recipe.schedule, range(recipe.epochs * loader.batches_per_epoch)))


def _is_weighted(patient: Patient) -> bool:
    """Whether the run makes up for uneven classes."""
    loaded = patient.prepared.loaded
    weights = loaded.train.loss.parameters.get("class_weights")
    return loaded.config.data.sampling == "balanced" or weights is not None
