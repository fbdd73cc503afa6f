"""Keys that contradict each other, or have no effect: each an error that names both places.

A key that is accepted is obeyed. What depends on the images (sizes, an own validation split that
the data set does not report) is checked when they are opened.
"""

from __future__ import annotations

from collections.abc import Iterator

from cnntrain.config.loaded import FINETUNE_AT, Loaded
from cnntrain.config.pretrain_rules import broken_pretrain_rules
from cnntrain.config.target_rules import broken_target_rules
from cnntrain.config.task_section import KEEP_LAST
from cnntrain.config.train_section import AUTO, FinetuneSection
from cnntrain.config.transform_rules import broken_transform_rules
from cnntrain.core.document import KeyPath
from cnntrain.core.problems import Problem, suggestion
from cnntrain.data import TRANSFORMS
from cnntrain.data.metadata import PATHS, facts, unset_variable

OPTIMIZER: KeyPath = ("train", "optimizer")
SCHEDULE: KeyPath = ("train", "schedule")
SOURCES = ("torchvision", "hub", "run", "file")
OF_SOURCES = {"revision": ("hub",), "download": ("hub",), "entry": ("hub", "file")}
"""Keys of `finetune.weights` that say more of these sources."""
TRAINING = ("freeze", "unfreeze", "lr_scale", "layer_decay", "l2_sp", "probe")
"""What has a meaning only while the network is trained."""


def broken_rules(given: Loaded) -> list[Problem]:
    """Every contradiction in a run file that is valid key by key."""
    problems = [*broken_transform_rules(given), *_loading(given), *_split(given)]
    problems += [*broken_target_rules(given), *broken_pretrain_rules(given)]
    if given.config.train is not None:
        problems += [*_validation(given), *_steps(given), *_optimizer(given)]
        problems += [*_schedule(given)]
    if given.config.finetune is not None:
        problems += _finetune(given, given.config.finetune)
    return problems


def unset_variables(given: Loaded) -> Iterator[Problem]:
    """Environment variables in the places of the data that are not set.

    Apart from the other rules: a trained network is used without its data.
    """
    for key in PATHS:
        path = given.config.data.parameters.get(key)
        if isinstance(path, str) and (unset := unset_variable(path, key=f"data.{key}")):
            yield given.problem(("data", key), *unset)


def _end(given: Loaded) -> str:
    return f"training ends after {given.train.epochs} ({given.at('train', 'epochs')})"


def _validation(given: Loaded) -> Iterator[Problem]:
    data = given.config.data
    asked, stated = data.split.validation, facts(data.name, data.parameters)
    has_none = asked is None and not stated.undivided and stated.validation is False
    if (has_none or asked is False) and not data.split.validation_classes:
        yield from needs_validation(given)


def needs_validation(given: Loaded) -> Iterator[Problem]:
    """What a run file asks of validation images, where there are none."""
    train = given.train
    users = {
        "early_stop": ("early stopping", train.early_stop is not None),
        "schedule": (f"the {train.schedule.name} schedule", train.schedule.reads_validation),
        "evaluate_every": ("evaluation", train.evaluate_every != 1),
        "select": ("selecting weights", train.select not in (None, KEEP_LAST)),
    }
    for key, (what, is_used) in users.items():
        if is_used:
            there = given.at("data", "split", "validation")
            message = f"{what} needs validation images, but there are none ({there})"
            remedy = "hold some out with -s data.split.validation=0.2, or remove this"
            yield given.problem(("train", key), message, remedy)


def _steps(given: Loaded) -> Iterator[Problem]:
    train, images, task = given.train, given.config.data.batch, given.config.task
    if train.accumulate > images:
        batch = f"a batch of {images} images ({given.at('data', 'batch_size')})"
        message = f"{batch} cannot be cut into {train.accumulate} parts"
        yield given.problem(("train", "accumulate"), message, "use fewer parts")
    known = (*task.selects, KEEP_LAST)
    if train.select is not None and train.select not in known:
        message = f"nothing called '{train.select}' can select the weights in {task.name}"
        yield given.problem(("train", "select"), message, suggestion(train.select, known))
    needed = task.entry.options.get("needs", {}).get(train.select)
    if needed is not None and not task.parameters.get(needed):
        message = f"'{train.select}' selects the weights only where task.{needed} is given"
        yield given.problem(("train", "select"), message, f"set task.{needed}, or choose another")
    if train.evaluate_every > train.epochs:
        what = f"an evaluation every {train.evaluate_every} epochs"
        message = f"{what} is never reached: {_end(given)}"
        remedy = "lower it, or raise train.epochs"
        yield given.problem(("train", "evaluate_every"), message, remedy)


def _optimizer(given: Loaded) -> Iterator[Problem]:
    optimizer, own = given.train.optimizer, given.train.optimizer.parameters
    if own.get("nesterov") and own.get("momentum") == 0:
        message = f"nesterov needs a momentum above 0 ({given.at(*OPTIMIZER, 'momentum')})"
        yield given.problem((*OPTIMIZER, "nesterov"), message, "set momentum: 0.9")
    if optimizer.lr == AUTO and given.train.lr_scaling is not None:
        message = f"lr: auto ({given.at(*OPTIMIZER, 'lr')}) is found for the batches as they are"
        yield given.problem(("train", "lr_scaling"), message, "remove one of the two")
    of_groups = [group.weight_decay for group in optimizer.groups]
    is_decayed = any([optimizer.weight_decay, given.train.l1, *of_groups])
    if optimizer.decay_norm_and_bias and not is_decayed:
        there = given.at(*OPTIMIZER, "weight_decay")
        message = f"decay_norm_and_bias has no effect without weight decay ({there})"
        remedy = "set weight_decay, or remove this"
        yield given.problem((*OPTIMIZER, "decay_norm_and_bias"), message, remedy)
    for index, group in enumerate(optimizer.groups):
        if group.lr_factor is None and group.weight_decay is None:
            message = f"the group '{group.names}' changes nothing"
            remedy = "set lr_factor or weight_decay in it"
            yield given.problem((*OPTIMIZER, "groups", index), message, remedy)


def _schedule(given: Loaded) -> Iterator[Problem]:
    epochs, schedule = given.train.epochs, given.train.schedule
    warmup = schedule.warmup_epochs
    if warmup > epochs:
        message = f"the warm-up takes {warmup:g} epochs, but {_end(given)}"
        remedy = "lower it, or raise train.epochs"
        yield given.problem((*SCHEDULE, "warmup_epochs"), message, remedy)
    for index, milestone in enumerate(schedule.parameters.get("milestones", ())):
        path = (*SCHEDULE, "milestones", index)
        if milestone < warmup:
            there = given.at(*SCHEDULE, "warmup_epochs")
            message = f"the milestone {milestone:g} is inside the warm-up ({there})"
            yield given.problem(path, message, "raise it, or shorten the warm-up")
        elif milestone >= epochs:
            message = f"the milestone {milestone:g} is never reached: {_end(given)}"
            yield given.problem(path, message, "lower or remove it, or raise train.epochs")
    every = schedule.parameters.get("every", 0)
    if every >= epochs:
        message = f"the learning rate would change after {every} epochs, but {_end(given)}"
        remedy = "lower it, or raise train.epochs"
        yield given.problem((*SCHEDULE, "every"), message, remedy)


def _loading(given: Loaded) -> Iterator[Problem]:
    data = given.config.data
    if data.memory == "resident" and data.workers != "auto":
        there = given.at("data", "memory")
        message = f"workers have no effect on images that stay in memory ({there})"
        yield given.problem(("data", "workers"), message, "remove it, or set memory: stream")
    if data.decoder != "pillow":
        key = "cache" if data.cache is not None else "memory"
        if key == "cache" or data.memory == "resident":
            how = "in the cache" if key == "cache" else "in memory"
            message = f"images {how} ({given.at('data', key)}) are decoded once, by Pillow"
            yield given.problem(("data", "decoder"), message, "remove it")


def _split(given: Loaded) -> Iterator[Problem]:
    data = given.config.data
    asked, stated = data.split, facts(data.name, data.parameters)
    is_made = bool(asked.validation or asked.test or asked.train or stated.undivided)
    if asked.seed is not None and not is_made and stated.validation is not None:
        message = "a seed has no effect: no images are held out"
        remedy = "add validation: 0.2 or test: 0.2, or remove this"
        yield given.problem(("data", "split", "seed"), message, remedy)


def _finetune(given: Loaded, finetune: FinetuneSection) -> Iterator[Problem]:
    """Every contradiction about `finetune`."""
    used = [key for key in TRAINING if getattr(finetune, key)]
    yield from _one_source(given, finetune)
    if given.config.train is None:
        for key in [*used, *(["head"] if finetune.head == "new" else [])]:
            message = f"'{key}' has no effect in a file without `train`"
            yield given.problem((*FINETUNE_AT, key), message, "add `train:`, or remove this")
    yield from _unfreezing(given, finetune)
    if finetune.probe:
        yield from _probing(given, used)
    train, frozen = given.config.train, "probe" if finetune.probe else "freeze"
    if train is not None and train.recalibrate and frozen in used:
        there = given.at(*FINETUNE_AT, frozen)
        message = f"recalibration would change the statistics of frozen layers ({there})"
        yield given.problem(("train", "recalibrate"), message, "remove one of the two")


def _one_source(given: Loaded, finetune: FinetuneSection) -> Iterator[Problem]:
    named = [key for key in SOURCES if getattr(finetune.weights, key) is not None]
    path = (*FINETUNE_AT, "weights")
    if not named:
        yield given.problem(path, "no weights are named", f"give one of {', '.join(SOURCES)}")
    for other in named[1:]:
        first = f"'{named[0]}' ({given.at(*path, named[0])})"
        message = f"the weights have two sources: {first} and '{other}'"
        yield given.problem((*path, other), message, "remove one of the two")
    for key, sources in OF_SOURCES.items():
        if getattr(finetune.weights, key) and not {*named} & {*sources}:
            message = f"'{key}' has no effect without {' or '.join(sources)}"
            yield given.problem((*path, key), message, "remove it", key=True)


def _unfreezing(given: Loaded, finetune: FinetuneSection) -> Iterator[Problem]:
    if finetune.unfreeze and not finetune.freeze and not finetune.probe:
        message = "nothing is frozen that could be unfrozen (finetune.freeze)"
        yield given.problem((*FINETUNE_AT, "unfreeze"), message, "name layers in finetune.freeze")
    train = given.config.train
    for epoch in finetune.unfreeze:
        path = (*FINETUNE_AT, "unfreeze", str(epoch))
        if epoch == 1:
            message = "from epoch 1 on means that these layers are never frozen"
            yield given.problem(path, message, "take them out of finetune.freeze")
        elif train is not None and epoch > train.epochs:
            message = f"epoch {epoch} is never reached: {_end(given)}"
            yield given.problem(path, message, "lower it, or raise train.epochs")


def _probing(given: Loaded, used: list[str]) -> Iterator[Problem]:
    there = given.at(*FINETUNE_AT, "probe")
    for key in used:
        if key != "probe":
            message = f"'{key}' has no effect on a linear probe ({there}): only the head learns"
            yield given.problem((*FINETUNE_AT, key), message, "remove one of the two")
    for index, call in enumerate(given.config.data.transforms.train):
        if TRANSFORMS.entry(call.name).options.get("random"):
            message = f"'{call.name}' is random, but a probe computes its features once ({there})"
            path = ("data", "transforms", "train", index)
            yield given.problem(path, message, "remove it, or the list: eval's is used then")
