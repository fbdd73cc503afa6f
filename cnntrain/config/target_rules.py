"""What images have must be what the task learns, and the loss must be for that."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cnntrain.config.distance_rules import broken_distance_rules
from cnntrain.config.head_rules import broken_head_rules
from cnntrain.config.loaded import TRANSFORMS_AT, Loaded
from cnntrain.core.choices import LOSSES, TASKS, TRANSFORMS
from cnntrain.core.problems import Problem
from cnntrain.core.target_forms import IN_WORDS, STORED_AS, TargetForm, fits, form_of, has_image
from cnntrain.data.metadata import facts

_COLUMNS: Mapping[TargetForm, tuple[str, ...]] = {
    "numbers": ("number_columns",),
    "labels": ("label_separator", "label_columns", "links"),
}
"""Keys of data sets that make their targets so."""


def broken_target_rules(given: Loaded) -> Iterator[Problem]:
    """Whether the images have what the task learns, and what else is only for such targets."""
    data, task, train = given.config.data, given.config.task, given.config.train
    there = facts(data.name, data.parameters).form
    if task.heads:
        yield from broken_head_rules(given)
    elif task.form != "image" and there not in (None, STORED_AS.get(task.form, task.form)):
        of_task = f"the task '{task.name}' ({given.at('task', 'name')})"
        message = f"{of_task} learns {IN_WORDS[task.form]}, and an image here has {IN_WORDS[there]}"
        keys = [p.name for p in data.entry.parameters if p.name in _COLUMNS.get(task.form, ())]
        remedy = f"name them in data.{keys[0]}, or set" if keys else "choose other data, or set"
        remedy = "set data.links to labels, or set" if keys == ["links"] else remedy
        if there == "several":
            remedy = "leave out the columns that are not learnt, or set"
        tasks = [each.name for each in TASKS.entries() if form_of(each) == there]
        remedy += f" task.name to {' or '.join(tasks)}"
        yield given.problem(("data", "name"), message, remedy)
    if data.sampling == "balanced" and task.form != "classes":
        message = f"there are no classes to be drawn equally often in {task.name}"
        yield given.problem(("data", "sampling"), message, "remove it")
    if train is not None and task.form not in fits(train.loss.entry):
        message = f"the loss '{train.loss.name}' is not for {IN_WORDS[task.form]} ({task.name})"
        fitting = [each.name for each in LOSSES.entries() if task.form in fits(each)]
        remedy = (
            f"choose from {', '.join(fitting)}" if fitting else "write one: see docs/plugins.md"
        )
        yield given.problem(("train", "loss", "name"), message, remedy)
    if train is not None:
        yield from _class_weights(given)
    if has_image(task.wanted):
        yield from _of_images(given)
    yield from broken_distance_rules(given)


def _of_images(given: Loaded) -> Iterator[Problem]:
    """What would change an image's target otherwise than the image; see `data.image_targets`."""
    for split in ("train", "eval"):
        corrupted = ""
        for index, call in enumerate(getattr(given.config.data.transforms, split)):
            options, path = TRANSFORMS.entry(call.name).options, (*TRANSFORMS_AT, split, index)
            if options.get("scales") and _is_of_pixels(given):
                there = f"the loss '{given.train.loss.name}' ({given.at('train', 'loss', 'name')})"
                message = (
                    f"'{call.name}' brings pixels out of 0 to 1, and {there} is of such pixels"
                )
                yield given.problem(path, message, "remove it, or choose the loss mse")
            if options.get("mixes"):
                message = f"'{call.name}' mixes classes, and what is learnt here is images"
                yield given.problem(path, message, "remove it")
            elif options.get("corrupts"):
                corrupted = corrupted or f"'{call.name}' ({given.at(*path)})"
            elif corrupted and options.get("random"):
                message = f"'{call.name}' stands after {corrupted}, which changes the input only"
                message += ": it is random, so the target would be changed differently"
                yield given.problem(path, message, "move it up")
    if given.config.train is not None and given.config.train.evaluate_views > 1:
        message = "outputs for several views of an image are averaged, and here they are images"
        yield given.problem(("train", "evaluate_views"), message, "remove it")
    if given.config.finetune is not None and given.config.finetune.probe:
        message = "a probe learns from features, and the targets here are images"
        yield given.problem(("finetune", "probe"), message, "remove it")


def _is_of_pixels(given: Loaded) -> bool:
    """Whether the loss compares pixels from 0 to 1 with what a sigmoid gives."""
    if given.config.train is None or given.config.task.entry.options.get("own_targets"):
        return False
    return "ends_in" in given.train.loss.entry.options


def _class_weights(given: Loaded) -> Iterator[Problem]:
    data, path = given.config.data, ("train", "loss", "class_weights")
    weights = given.train.loss.parameters.get("class_weights")
    if weights is not None and given.config.task.form != "classes":
        message = f"there are no classes to be weighted in {given.config.task.name}"
        yield given.problem(path, message, "remove it, or give positive_weights")
        return
    positive = given.train.loss.parameters.get("positive_weights")
    known = facts(data.name, data.parameters).num_classes
    if isinstance(positive, tuple) and known not in (None, len(positive)):
        message = f"there are {len(positive)} positive weights for {known} labels"
        at = ("train", "loss", "positive_weights")
        yield given.problem(at, message, f"give {known} of them, or `balanced`")
    if isinstance(weights, tuple):
        classes = facts(data.name, data.parameters).num_classes
        if classes not in (None, len(weights)):
            what = f"{len(weights)} class weights for the {classes} classes of '{data.name}'"
            message = f"{what} ({given.at('data', 'name')})"
            yield given.problem(path, message, f"give {classes} of them, or `balanced`")
    if weights == data.sampling == "balanced":
        there = given.at("data", "sampling")
        message = f"balanced weights and balanced sampling ({there}) count rare classes twice"
        yield given.problem(path, message, "remove one of the two")
