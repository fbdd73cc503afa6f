"""Keys that contradict each other, or have no effect: each an error that names both places.

A key that is accepted is obeyed. What depends on the images (sizes, an own validation split that
the data set does not tell of) is checked when they are opened.
"""

from __future__ import annotations

from collections.abc import Iterator

from cnntrain.config.finetune_rules import FINETUNE_RULES
from cnntrain.config.given import Given, Rule
from cnntrain.config.schema import RunConfig
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.problems import Problem, suggestion
from cnntrain.data import TRANSFORMS
from cnntrain.data.metadata import facts

EPOCHS = ("train", "epochs")
VALIDATION = ("data", "validation")


def broken_rules(config: RunConfig, document: Document) -> list[Problem]:
    """Every contradiction in a run file that is valid key by key."""
    given = Given(config, document)
    rules = [*RULES, *(TRAIN_RULES if config.train is not None else ())]
    rules += FINETUNE_RULES if config.finetune is not None else ()
    return [problem for rule in rules for problem in rule(given)]


def _needs_validation(given: Given) -> Iterator[Problem]:
    if _has_validation(given) is False:
        yield from needs_validation(given)


def needs_validation(given: Given) -> Iterator[Problem]:
    """What a run file asks of validation images, where there are none."""
    train = given.train
    users: list[tuple[KeyPath, str, bool]] = [
        (("train", "early_stop"), "early stopping", train.early_stop is not None),
        (
            ("train", "schedule"),
            f"the {train.schedule.name} schedule",
            train.schedule.reads_validation,
        ),
        (("train", "evaluate_every"), "evaluation", train.evaluate_every != 1),
        (("train", "select"), "selecting weights", train.select is not None),
    ]
    for path, what, is_used in users:
        if is_used:
            message = (
                f"{what} needs validation images, but there are none ({given.at(*VALIDATION)})"
            )
            yield given.problem(path, message, "set data.validation: 0.1, or remove this")


def _has_validation(given: Given) -> bool | None:
    """Whether there are validation images; None: only the data can tell."""
    if given.config.data.validation is not None:
        return True
    data = given.config.data
    return facts(data.name, data.parameters).validation


def _select(given: Given) -> Iterator[Problem]:
    select, task = given.train.select, given.config.task
    if select is not None and select not in task.selects:
        message = f"nothing called '{select}' can select the weights in {task.name}"
        remedy = suggestion(select, task.selects)
        yield given.problem(("train", "select"), message, remedy)


def _nesterov(given: Given) -> Iterator[Problem]:
    own = given.train.optimizer.parameters
    if own.get("nesterov") and own.get("momentum") == 0:
        place = given.at("train", "optimizer", "momentum")
        message = f"nesterov needs a momentum above 0 ({place})"
        yield given.problem(("train", "optimizer", "nesterov"), message, "set momentum: 0.9")


def _decay(given: Given) -> Iterator[Problem]:
    train = given.train
    optimizer = train.optimizer
    decays = [optimizer.weight_decay, train.l1, *(g.weight_decay for g in optimizer.groups)]
    if optimizer.decay_norm_and_bias and not any(decays):
        place = given.at("train", "optimizer", "weight_decay")
        message = f"decay_norm_and_bias has no effect without weight decay ({place})"
        path = ("train", "optimizer", "decay_norm_and_bias")
        yield given.problem(path, message, "set weight_decay, or remove this")
    for index, group in enumerate(optimizer.groups):
        if group.lr_factor is None and group.weight_decay is None:
            at_group: KeyPath = ("train", "optimizer", "groups", index)
            message = f"the group '{group.names}' changes nothing"
            yield given.problem(at_group, message, "set lr_factor or weight_decay in it")


def _schedule(given: Given) -> Iterator[Problem]:
    train = given.train
    schedule = train.schedule
    end = f"training ends after {train.epochs} ({given.at(*EPOCHS)})"
    if schedule.warmup_epochs > train.epochs:
        path: KeyPath = ("train", "schedule", "warmup_epochs")
        message = f"the warm-up takes {schedule.warmup_epochs:g} epochs, but {end}"
        yield given.problem(path, message, "lower it, or raise train.epochs")
    for index, milestone in enumerate(schedule.parameters.get("milestones", ())):
        path = ("train", "schedule", "milestones", index)
        if milestone < schedule.warmup_epochs:
            there = given.at("train", "schedule", "warmup_epochs")
            message = f"the milestone {milestone:g} is inside the warm-up ({there})"
            yield given.problem(path, message, "raise it, or shorten the warm-up")
        elif milestone >= train.epochs:
            message = f"the milestone {milestone:g} is never reached: {end}"
            yield given.problem(path, message, "lower or remove it, or raise train.epochs")
    every = schedule.parameters.get("every", 0)
    if every >= train.epochs:
        path = ("train", "schedule", "every")
        message = f"the learning rate would change after {every} epochs, but {end}"
        yield given.problem(path, message, "lower it, or raise train.epochs")


def _evaluation(given: Given) -> Iterator[Problem]:
    train = given.train
    if train.evaluate_every > train.epochs:
        path = ("train", "evaluate_every")
        message = (
            f"an evaluation every {train.evaluate_every} epochs is never reached: "
            f"training ends after {train.epochs} ({given.at(*EPOCHS)})"
        )
        yield given.problem(path, message, "lower it, or raise train.epochs")


def _normalization(given: Given) -> Iterator[Problem]:
    transforms = given.config.data.transforms
    sides = {"train": transforms.train, "eval": transforms.eval}
    calls = {
        split: [(i, call) for i, call in enumerate(side) if call.name == "normalize"]
        for split, side in sides.items()
    }
    for split, other in (("train", "eval"), ("eval", "train")):
        path: KeyPath = ("data", "transforms", split)
        if len(calls[split]) > 1:
            index = calls[split][1][0]
            first = given.at(*path, calls[split][0][0])
            message = f"'normalize' stands here a second time ({first})"
            yield given.problem((*path, index), message, "remove one of the two")
        if calls[split] and not calls[other]:
            there = given.at("data", "transforms", other)
            message = f"'normalize' is done in {split}, but not in {other} ({there})"
            yield given.problem((*path, calls[split][0][0]), message, f"add it to {other}")
    if calls["train"] and calls["eval"]:
        (at_train, train), (at_eval, evaluation) = calls["train"][0], calls["eval"][0]
        if train.parameters != evaluation.parameters:
            there = given.at("data", "transforms", "train", at_train)
            message = f"'normalize' differs from the one in train ({there})"
            path = ("data", "transforms", "eval", at_eval)
            yield given.problem(path, message, "give both the same mean and std")


def _statistics(given: Given) -> Iterator[Problem]:
    data = given.config.data
    channels = facts(data.name, data.parameters).channels
    for split, calls in (("train", data.transforms.train), ("eval", data.transforms.eval)):
        for index, call in enumerate(calls):
            if call.name != "normalize":
                continue
            path: KeyPath = ("data", "transforms", split, index, "normalize")
            for key, other in (("mean", "std"), ("std", "mean")):
                numbers = call.parameters.get(key)
                if numbers is None:
                    continue
                if call.parameters.get(other) is None:
                    message = f"'{key}' is given without '{other}'"
                    yield given.problem((*path, key), message, f"add {other}, or remove {key}")
                if len(numbers) != channels:
                    count = len(numbers)
                    message = (
                        f"'{key}' has {count} numbers, but the images of '{data.name}' have "
                        f"{channels} channels ({given.at('data', 'name')})"
                    )
                    yield given.problem((*path, key), message, f"give {channels}")


def _transforms(given: Given) -> Iterator[Problem]:
    """What a transform states of itself: `random=True`, `before_normalize=True`."""
    transforms = given.config.data.transforms
    for split, calls in (("train", transforms.train), ("eval", transforms.eval)):
        normalized = ""
        for index, call in enumerate(calls):
            path: KeyPath = ("data", "transforms", split, index)
            options = TRANSFORMS.entry(call.name).options
            if split == "eval" and options.get("random"):
                message = f"'{call.name}' is random, but evaluation must not be"
                yield given.problem(path, message, "move it to data.transforms.train")
            if normalized and options.get("before_normalize"):
                message = f"'{call.name}' must stand before 'normalize' ({normalized})"
                yield given.problem(path, message, "change the order")
            if call.name == "normalize":
                normalized = given.at(*path)


def _classes(given: Given) -> Iterator[Problem]:
    weights = given.train.loss.parameters.get("class_weights")
    if not isinstance(weights, tuple):
        return
    data = given.config.data
    classes = facts(data.name, data.parameters).num_classes
    if classes is not None and classes != len(weights):
        count = len(weights)
        message = (
            f"{count} class weights for the {classes} classes of '{data.name}' "
            f"({given.at('data', 'name')})"
        )
        path = ("train", "loss", "class_weights")
        yield given.problem(path, message, f"give {classes} of them, or `balanced`")


def _balance(given: Given) -> Iterator[Problem]:
    weights = given.train.loss.parameters.get("class_weights")
    if weights == given.config.data.sampling == "balanced":
        there = given.at("data", "sampling")
        message = f"balanced weights and balanced sampling ({there}) count rare classes twice"
        path = ("train", "loss", "class_weights")
        yield given.problem(path, message, "remove one of the two")


def _loading(given: Given) -> Iterator[Problem]:
    data = given.config.data
    if data.memory == "resident" and data.workers != "auto":
        there = given.at("data", "memory")
        message = f"workers have no effect on images that stay in memory ({there})"
        yield given.problem(("data", "workers"), message, "remove it, or set memory: stream")


def _accumulation(given: Given) -> Iterator[Problem]:
    parts, images = given.train.accumulate, given.config.data.batch_size
    if parts > images:
        there = given.at("data", "batch_size")
        message = f"a batch of {images} images ({there}) cannot be cut into {parts} parts"
        yield given.problem(("train", "accumulate"), message, "use fewer parts")


RULES: tuple[Rule, ...] = (_normalization, _statistics, _transforms, _loading)

TRAIN_RULES: tuple[Rule, ...] = (
    _accumulation,
    _needs_validation,
    _select,
    _nesterov,
    _decay,
    _schedule,
    _evaluation,
    _classes,
    _balance,
)
"""For run files with a `train` section."""
