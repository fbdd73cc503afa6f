"""What each check is given of what the doctor examines."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cnntrain.assemble.horizon_rules import TrainImages
from cnntrain.assemble.remarks import network_remarks, recipe_remarks
from cnntrain.core.entry import Entry
from cnntrain.core.problems import suggestion
from cnntrain.core.remark import Remark
from cnntrain.diagnose.doubts import usual_rate
from cnntrain.diagnose.faults import wrong_check
from cnntrain.diagnose.setup import Patient
from cnntrain.diagnose.substitutes import Substitute, substitutes_for, transforms_for
from cnntrain.diagnose.training_views import TrainingViews, open_views
from cnntrain.diagnose.variants import Opener, Relief, opener_of, variants_of
from cnntrain.fit.observers import data_cure
from cnntrain.optim import Warmup

SMALL, FEW = 32, 64
"""Images of a batch that only has to be typical, and of those that are to be memorised."""


def _opener(patient: Patient) -> Opener:
    batches = lambda: patient.augmented  # noqa: E731  # read when they are needed
    steps = patient.effort.recipe_steps
    return opener_of(patient.prepared, batches, steps=steps, size_of=patient.trial_size)


def _variants(patient: Patient) -> tuple[Relief, ...]:
    sides = patient.samples.train.images.shape[2:]
    return variants_of(patient.loaded, _opener(patient), sides=sides)


def _substitutes(patient: Patient) -> tuple[Substitute, ...]:
    return tuple(substitutes_for(patient.loaded, patient.prepared.plan))


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


def _counts(patient: Patient) -> Mapping[str, Sequence[int]]:
    """Images per class of each split; where there are no classes, of all of them."""
    data = patient.prepared.data
    if data.targets.form in ("classes", "distances"):
        return data.counts
    loaders = {"train": data.train, "validation": data.validation, "test": data.test}
    return {name: (each.size,) for name, each in loaders.items() if each is not None}


def _reckoned(patient: Patient) -> list[Remark]:
    prepared, counts = patient.prepared, _counts(patient)["train"]
    train = prepared.data.train
    counted = TrainImages(
        train.size, train.batches_per_epoch, tuple(counts) if len(counts) > 1 else ()
    )
    return recipe_remarks(prepared.loaded, prepared.plan, counted)


def _views(patient: Patient) -> TrainingViews | None:
    """Training images to be prepared in any way, where they have classes, numbers or labels."""
    prepared = patient.prepared
    if prepared.data.targets.form in ("image", "several") or prepared.learner.part:
        return None
    return open_views(prepared.loaded, prepared.data)


FILLED: Mapping[str, Callable[[Patient], Any]] = {
    # the network
    "net": lambda it: it.net,
    "trained": lambda it: it.trained or it.net,
    "is_trained": lambda it: it.trained is not None,
    "is_pretrained": lambda it: getattr(it.loaded.config, "finetune", None) is not None,
    "plan": lambda it: it.prepared.plan,
    "sights": lambda it: network_remarks(it.prepared.loaded, it.prepared.plan),
    "reckoned": _reckoned,
    # how it trains
    "method": lambda it: it.method,
    "bare": lambda it: it.bare,
    "without": lambda it: it.without,
    "criterion": lambda it: it.prepared.criterion,
    "applies": lambda it: it.prepared.loaded.train.loss.applies,
    "warmup": _warmup,
    "optimizer_name": lambda it: it.loaded.train.optimizer.name,
    "shares": _shares,
    # images
    "augmented": lambda it: it.augmented,
    "batches": lambda it: it.plain,
    "batch": lambda it: it.listed(it.effort.images),
    "small_batch": lambda it: it.listed(SMALL),
    "few": lambda it: it.listed(FEW),
    "held_out": lambda it: it.held_out,
    "train": lambda it: it.samples.train,
    "other": lambda it: it.samples.other,
    "shared": lambda it: it.samples.shared,
    "doubled": lambda it: it.samples.doubled,
    "views": _views,
    # the data as a whole
    "classes": lambda it: len(it.prepared.data.classes),
    "class_names": lambda it: it.prepared.data.classes,
    "counts": _counts,
    "task": lambda it: it.prepared.learner.task,
    "form": lambda it: it.prepared.data.targets.form,
    "loss": lambda it: it.prepared.loaded.train.loss.name,
    "is_weighted": _is_weighted,
    "unseen": lambda it: it.prepared.loaded.config.data.split.set_apart,
    "train_images": lambda it: it.prepared.data.train.size,
    "batch_size": lambda it: it.prepared.loaded.config.data.batch,
    "drops_last": lambda it: it.prepared.loaded.config.data.drop_last,
    "loader": lambda it: it.run_data.train,
    "data_cure": lambda it: data_cure(replace(it.prepared, loaded=it.loaded, data=it.run_data)),
    # how much is done
    "steps": lambda it: it.effort.steps,
    "recipe_steps": lambda it: it.effort.recipe_steps,
    "overfit_steps": lambda it: it.effort.overfit_steps,
    "step_images": lambda it: it.effort.batch,
    "weights": lambda it: it.effort.weights,
    "variants": _variants,
    "substitutes": _substitutes,
    "open_trial": _opener,
    "transforms": lambda it: tuple(transforms_for(it.loaded)),
    "causes": lambda it: it.causes,
    "usual_rate": lambda it: usual_rate(it.loaded),
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
            raise wrong_check(entry, message, suggestion(parameter.name, FILLED))
    return {name: FILLED[name](patient) for name in entry.filled}
