"""Examining a run file or a run: which checks there are, what each is given, and the diagnosis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from time import perf_counter

from cnntrain.assemble.translation import open_run_data
from cnntrain.config.from_python import Changes, Source
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import suggestion
from cnntrain.diagnose.batches import check_batches
from cnntrain.diagnose.connections import check_connections
from cnntrain.diagnose.data import check_data
from cnntrain.diagnose.doctor import Diagnosis
from cnntrain.diagnose.doctor import diagnose as conclude
from cnntrain.diagnose.evaluation import check_evaluation
from cnntrain.diagnose.gradients import check_gradients
from cnntrain.diagnose.initial import check_initial
from cnntrain.diagnose.machine import check_machine
from cnntrain.diagnose.overfit import check_overfit
from cnntrain.diagnose.rate import check_rate
from cnntrain.diagnose.recipe import check_recipe
from cnntrain.diagnose.report import Report
from cnntrain.diagnose.samples import open_samples
from cnntrain.diagnose.setup import Patient, open_patient
from cnntrain.diagnose.units import check_units
from cnntrain.fit.observers import data_cure
from cnntrain.optim import Warmup
from cnntrain.train import undisturbed

OVERFIT_IMAGES = 64
CONNECTION_STEPS = 4
SMALL = 32
"""Images of a batch that only has to be typical."""


def data(patient: Patient) -> Report:
    """Do images and labels belong together, and can a network read them?"""
    config, opened = patient.prepared.loaded.config, patient.prepared.data
    samples = open_samples(patient.prepared.loaded, opened)
    loss = patient.prepared.loaded.train.loss
    return check_data(
        samples.train,
        other=samples.other,
        classes=opened.classes,
        counts=opened.counts,
        shared=samples.shared,
        is_weighted=config.data.sampling == "balanced"
        or loss.parameters.get("class_weights") is not None,
    )


def batches(patient: Patient) -> Report:
    """Is every batch one that the network can learn from?"""
    section = patient.prepared.loaded.config.data
    return check_batches(
        patient.net,
        images=patient.prepared.data.train.size,
        batch_size=section.batch_size,
        drops_last=section.drop_last,
    )


def connections(patient: Patient) -> Report:
    """Does every layer learn?"""
    return check_connections(
        patient.net,
        batches=patient.plain[:CONNECTION_STEPS],
        method=patient.bare,
        is_pretrained=patient.is_pretrained,
    )


def initial(patient: Patient) -> Report:
    """Can the network begin to learn?"""
    return check_initial(
        patient.net,
        batch=patient.listed(patient.effort.images),
        criterion=patient.prepared.criterion,
        classes=len(patient.classes),
        applies=patient.prepared.loaded.train.loss.applies,
    )


def gradients(patient: Patient) -> Report:
    """Is the backward pass right, and does it reach every layer?"""
    return check_gradients(
        patient.trained or patient.net,
        batch=patient.listed(SMALL),
        method=patient.method,
        weights=patient.effort.weights,
    )


def evaluation(patient: Patient) -> Report:
    """Is an image's answer its own?"""
    return check_evaluation(patient.trained or patient.net, batch=patient.listed(SMALL))


def overfit(patient: Patient) -> Report:
    """Can a few images be learnt by heart?"""
    few = patient.listed(OVERFIT_IMAGES)
    return check_overfit(
        patient.net,
        images=[few],
        class_names=patient.classes,
        steps=patient.effort.overfit_steps,
    )


def rate(patient: Patient) -> Report:
    """Which learning rate?"""
    recipe, loader = patient.prepared.recipe, patient.prepared.data.train
    schedule = recipe.schedule
    return check_rate(
        patient.net,
        batches=patient.plain[: patient.effort.steps],
        method=patient.bare,
        classes=len(patient.classes),
        steps=patient.effort.steps,
        warmup=schedule.steps if isinstance(schedule, Warmup) else 0,
        shares=tuple(map(schedule, range(recipe.epochs * loader.batches_per_epoch))),
    )


def recipe(patient: Patient) -> Report:
    """Does training begin as the run file says?"""
    return check_recipe(
        patient.net,
        augmented=patient.augmented,
        plain=patient.plain,
        method=patient.method,
        without=patient.without,
        classes=len(patient.classes),
        steps=patient.effort.recipe_steps,
    )


def units(patient: Patient) -> Report:
    """Do the units say something, and each something of its own?"""
    return check_units(
        patient.trained or patient.net,
        batches=[patient.listed(patient.effort.images)],
        is_trained=patient.trained is not None,
    )


def machine(patient: Patient) -> Report:
    """Is the processor at work?"""
    prepared = patient.prepared
    opened = open_run_data(patient.loaded, device=prepared.device)
    try:
        return check_machine(
            patient.net,
            loader=opened.train,
            method=patient.method,
            batch_size=patient.effort.batch,
            data_cure=data_cure(replace(prepared, loaded=patient.loaded, data=opened)),
        )
    finally:
        opened.close()


CHECKS: Mapping[str, Callable[[Patient], Report]] = {
    "data": data,
    "batches": batches,
    "connections": connections,
    "initial": initial,
    "gradients": gradients,
    "evaluation": evaluation,
    "overfit": overfit,
    "rate": rate,
    "recipe": recipe,
    "units": units,
    "machine": machine,
}
"""The checks, in the order in which they are made."""


def examine(
    file_or_run: Source,
    *,
    checks: Sequence[str] = (),
    overrides: Changes = (),
    tell: Callable[[Report], None] | None = None,
) -> Diagnosis:
    """Find out why a network does not learn; nothing is printed, written or changed.

    Args:
        file_or_run: a run file, the name of a shipped one, its text, or its contents as a mapping;
            or a run's folder, or a checkpoint.
        checks: names of checks, such as `gradients`; none is all of them.
        overrides: changes of single values, such as `{"train.optimizer.lr": 0.1}`.
        tell: called with each report as soon as it is there.

    Returns:
        The `findings`, causes first, each with headline, evidence and remedy; and the `reports` of
        all checks, with their tables and pictures.

    Raises:
        UsageError: there is no such check.
        ConfigError, DataError, CheckpointError: what is to be examined cannot be opened.
    """
    for check in checks:
        if check not in CHECKS:
            raise UsageError(f"there is no check '{check}'", remedy=suggestion(check, CHECKS))
    reports = []
    with undisturbed():
        patient = open_patient(file_or_run, overrides=overrides)
        for check in checks or CHECKS:
            began = perf_counter()
            report = CHECKS[check](patient)
            report = replace(report, seconds=perf_counter() - began)
            reports.append(report)
            if tell is not None:
                tell(report)
    return conclude(reports)
