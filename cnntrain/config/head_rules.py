"""What several heads learn must be there, each with a loss that is for it."""

from __future__ import annotations

from collections.abc import Iterator

from cnntrain.config.loaded import TRANSFORMS_AT, Loaded
from cnntrain.config.task_section import HEADS, HeadSection
from cnntrain.core.choices import LOSSES, TRANSFORMS
from cnntrain.core.document import KeyPath
from cnntrain.core.problems import Problem
from cnntrain.core.target_forms import IN_WORDS, STORED_AS, fits, in_words
from cnntrain.data.metadata import facts


def broken_head_rules(given: Loaded) -> Iterator[Problem]:
    """Of each head, and of what only networks without heads can do."""
    data, heads = given.config.data, given.config.task.heads
    there = facts(data.name, data.parameters).forms
    for name, head in heads.items():
        path: KeyPath = ("task", HEADS, name)
        form = head.task.form
        if form in STORED_AS:
            message = (
                f"the loss of '{head.task.name}' compares the images of a batch with each other"
            )
            yield given.problem((*path, "task"), message, "choose another task for the head")
        elif there and form not in (*there, "image"):
            where = f"an image here has {in_words(there)} ({given.at('data', 'name')})"
            message = f"the head '{name}' learns {IN_WORDS[form]}, and {where}"
            remedy = "name the columns of what is learnt, or remove the head"
            yield given.problem((*path, "task"), message, remedy)
        yield from _loss(given, path, name, head)
        if head.names and form not in ("numbers", "labels"):
            message = f"the head '{name}' learns {IN_WORDS[form]}, of which none can be named"
            yield given.problem((*path, "names"), message, "remove it")
    if not any(head.weight for head in heads.values()):
        message = "the weights of all heads are 0, so nothing is learnt"
        yield given.problem(("task", HEADS), message, "give one of them a weight above 0")
    learnt = {head.task.form for head in heads.values()}
    if len(there) > 1 and learnt != {"image"} and (idle := [f for f in there if f not in learnt]):
        message = f"an image here has {in_words(there)}, and no head learns {in_words(idle)}"
        remedy = "leave out the columns that are not learnt, or add a head"
        yield given.problem(("data", "name"), message, remedy)
    if "image" not in learnt:  # else `target_rules` says the same of images
        yield from _of_one_answer(given)


def _loss(given: Loaded, path: KeyPath, name: str, head: HeadSection) -> Iterator[Problem]:
    form, loss = head.task.form, head.loss
    if form not in fits(loss.entry):
        message = f"the loss '{loss.name}' of the head '{name}' is not for {IN_WORDS[form]}"
        fitting = [each.name for each in LOSSES.entries() if form in fits(each)]
        remedy = (
            f"choose from {', '.join(fitting)}" if fitting else "write one: see docs/plugins.md"
        )
        yield given.problem((*path, "loss"), message, remedy)
    if "ends_in" in loss.entry.options:
        message = f"the loss '{loss.name}' is for a network that gives nothing but an image"
        yield given.problem((*path, "loss"), message, "choose another one, such as mse")
    if loss.parameters.get("class_weights") is not None:
        message = "class weights would make the mean of a head's loss another than that of others"
        yield given.problem((*path, "loss", "class_weights"), message, "remove it")
    if loss.parameters.get("positive_weights") == "balanced":
        message = "the images with each label of a head are not counted"
        remedy = "give one number for each label"
        yield given.problem((*path, "loss", "positive_weights"), message, remedy)


def _of_one_answer(given: Loaded) -> Iterator[Problem]:
    for index, call in enumerate(given.config.data.transforms.train):
        if TRANSFORMS.entry(call.name).options.get("mixes"):
            message = f"'{call.name}' mixes classes, and several heads learn from one image here"
            yield given.problem((*TRANSFORMS_AT, "train", index), message, "remove it")
    if given.config.finetune is not None and given.config.finetune.probe:
        message = "a probe learns one layer from features, and here there are several heads"
        yield given.problem(("finetune", "probe"), message, "remove it")
