"""Remedies that are changes of the run file, for findings of checks that do not see the run file.

Which of them stands for a fault is in `MENDS`. What a check has measured it says itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cnntrain.assemble.arch_edits import overriding
from cnntrain.assemble.networks import plan_network
from cnntrain.config.from_python import load_given
from cnntrain.config.loaded import TRANSFORMS_AT
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.core.errors import CnntrainError
from cnntrain.data import TRANSFORMS
from cnntrain.diagnose.layer_remedies import (
    NOTHING,
    Find,
    Mended,
    kaiming,
    kept_alive,
    layers_of_others,
    less_dropout,
    normalised_maps,
    small_outputs,
    units_alive,
    usual_momentum,
    without_blamed,
    without_last,
    xavier,
)
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.setup import Patient
from cnntrain.diagnose.variants import name_of, shifted


def mended(finding: Finding, patient: Patient) -> Finding:
    """The finding with overrides, where it has none and a change of the run file mends it."""
    find = MENDS.get(finding.fault)
    if finding.overrides or find is None:
        return finding
    remedy, overrides = find(patient, finding)
    if not overrides or not _is_taken(patient, overrides):
        return finding
    return replace(finding, remedy=remedy or finding.remedy, overrides=overrides)


def _is_taken(patient: Patient, overrides: tuple[str, ...]) -> bool:
    """Whether the run file is one without mistakes with these overrides."""
    classes = patient.prepared.plan.description.facts.num_classes
    try:
        changed = load_given(dump_yaml(resolved_tree(patient.loaded.config)), overrides)
        plan_network(changed, num_classes=classes)
    except CnntrainError:
        return False
    return True


def _set(*overrides: str) -> Find:
    """The same for every run file, as the finding says it."""
    return lambda _, __: ("", overrides)


def _transforms(patient: Patient) -> tuple[list[Any], list[Any]]:
    tree: dict[str, Any] = resolved_tree(patient.loaded.config)["data"]["transforms"]
    return list(tree["train"]), list(tree["eval"])


def _as_evaluated(patient: Patient, _: Finding) -> Mended:
    path = (*TRANSFORMS_AT, "train")
    override = overriding(path, _transforms(patient)[1])
    return "train on images as evaluation has them; look at the others with `cnntrain data show`", (
        override,
    )


def _normalised(patient: Patient, _: Finding) -> Mended:
    both = []
    for split, steps in zip(("train", "eval"), _transforms(patient), strict=True):
        names = [name_of(step) for step in steps]
        kept = [step for step, name in zip(steps, names, strict=True) if name != "normalize"]
        mixing = [
            at for at, name in enumerate(names) if TRANSFORMS.entry(name).options.get("mixes")
        ]
        place = names.index("normalize") if "normalize" in names else min(mixing, default=len(kept))
        kept.insert(place, "normalize")
        both.append(overriding((*TRANSFORMS_AT, split), kept))
    return "normalise by the mean and deviation of the training images", tuple(both)


def _balanced(patient: Patient, _: Finding) -> Mended:
    """All classes equally often, and the few images of some of them never twice the same."""
    moved = shifted(patient.loaded, patient.samples.train.images.shape[2:])
    said = "draw all classes equally often: `-s data.sampling=balanced`"
    if moved:
        said += ", and shift images at random, so that the few of a class are not memorised"
    return said, ("data.sampling=balanced", *moved)


def _finite(patient: Patient, finding: Finding) -> Mended:
    """What makes values that are not finite: numbers of one's own in `normalize`."""
    transforms = patient.loaded.config.data.transforms
    calls = [*transforms.train, *transforms.eval]
    has_own = any(call.name == "normalize" and call.parameters["std"] for call in calls)
    return _normalised(patient, finding) if has_own else NOTHING


def _less_decay(patient: Patient, _: Finding) -> Mended:
    """The usual decay, for the groups that have one of their own, too."""
    groups = _optimizer(patient)["groups"]
    kept = [{key: value for key, value in each.items() if key != DECAY} for each in groups]
    found: tuple[str, ...] = ("train.optimizer.weight_decay=1e-4",)
    if kept != groups:
        named = [each for each in kept if set(each) > {"names"}]
        found = (*found, overriding(("train", "optimizer", "groups"), named))
    return "", found


DECAY = "weight_decay"


def _optimizer(patient: Patient) -> dict[str, Any]:
    found: dict[str, Any] = resolved_tree(patient.loaded.config)["train"]["optimizer"]
    found["groups"] = [
        {key: value for key, value in each.items() if value is not None} for each in found["groups"]
    ]
    return found


def _all_learn(patient: Patient, _: Finding) -> Mended:
    present = _optimizer(patient)["groups"]
    groups = [group for group in present if group.get("lr_factor") != 0]
    if len(groups) == len(present):
        return NOTHING
    override = overriding(("train", "optimizer", "groups"), groups)
    return "let all layers learn: no group of parameters with `lr_factor: 0`", (override,)


MENDS: Mapping[str, Find] = {
    # the images
    "not_finite": _finite,
    "too_much_augmentation": _as_evaluated,
    "uneven_classes": _balanced,
    "not_normalised": _normalised,
    # what is connected, what the network sees and says, and evaluation
    "wrong_gradient": layers_of_others,
    "frozen_layer": _all_learn,
    "detached_layer": layers_of_others,
    "unseen_pixels": without_blamed,
    "squashed_outputs": without_last,
    "out_of_reach": without_last,
    "random_evaluation": layers_of_others,
    "eval_mode_batch_norm": layers_of_others,
    "stale_batch_norm": usual_momentum,
    # where the weights start
    "zero_initialisation": kaiming,
    "dead_units": units_alive,
    "saturated_units": xavier,
    "exploding_activations": kaiming,
    "exploding_gradients": kaiming,
    "vanishing_activations": kept_alive,
    "vanishing_gradients": kept_alive,
    "large_initial_loss": small_outputs,
    "alike_units": kaiming,
    # the steps, and what holds them back
    "rate_falls_early": _set("train.schedule={name: cosine}"),
    "clipped_to_nothing": _set("train.clip_norm=null"),
    "too_much_decay": _less_decay,
    "too_much_l1": _set("train.l1=0"),
    "too_much_penalty": _set("train.penalties=[]"),
    "too_much_dropout": less_dropout,
    "too_much_smoothing": _set("train.loss.label_smoothing=0.1"),
    # where no cause was found
    "no_gradient": kept_alive,
    "cannot_overfit": normalised_maps,
    "diverges": _set("train.optimizer.lr=auto"),
    "no_progress": _set("train.optimizer.lr=auto"),
}
"""Fault -> what mends it, and how the run file says so."""
