"""What only tasks of distances between images have, and what they cannot have."""

from __future__ import annotations

from collections.abc import Iterator

from cnntrain.config.loaded import TRANSFORMS_AT, Loaded
from cnntrain.core.choices import TRANSFORMS
from cnntrain.core.problems import Problem


def broken_distance_rules(given: Loaded) -> Iterator[Problem]:
    """Whether images are compared where something asks for it, and can be."""
    if given.config.task.form != "distances":
        yield from _of_others(given)
        return
    yield from _data(given)
    if given.config.finetune is not None and given.config.finetune.probe:
        message = "a probe learns a head for classes, and distances between images have none"
        yield given.problem(("finetune", "probe"), message, "freeze layers by name instead")
    if given.config.train is not None:
        yield from _training(given)


def _of_others(given: Loaded) -> Iterator[Problem]:
    """What has no meaning where nothing is compared."""
    data, name = given.config.data, given.config.task.name
    remedy = "remove it, or set task.name to embedding"
    if data.images_per_class is not None:
        message = f"no images of a batch are compared in {name}"
        yield given.problem(("data", "images_per_class"), message, remedy)
    for key in ("validation_classes", "test_classes"):
        if getattr(data.split, key):
            message = f"a network for {name} cannot be evaluated on classes that it has not learnt"
            yield given.problem(("data", "split", key), message, remedy)


def _data(given: Loaded) -> Iterator[Problem]:
    data = given.config.data
    for split in ("validation", "test"):
        if getattr(data.split, f"{split}_classes") and getattr(data.split, split) is not None:
            there = given.at("data", "split", split)
            message = f"the {split} images are already a part of all ({there})"
            path = ("data", "split", f"{split}_classes")
            yield given.problem(path, message, "remove one of the two")
    together = data.images_per_class
    if together is not None and 2 * together > data.batch:
        of_batch = f"a batch of {data.batch} ({given.at('data', 'batch_size')})"
        message = f"{together} images of a class leave no room for another class in {of_batch}"
        remedy = f"lower it to {data.batch // 2} or less, or raise data.batch_size"
        yield given.problem(("data", "images_per_class"), message, remedy)
    for index, call in enumerate(data.transforms.train):
        if TRANSFORMS.entry(call.name).options.get("mixes"):
            message = f"'{call.name}' mixes classes, and here images of one class are compared"
            yield given.problem((*TRANSFORMS_AT, "train", index), message, "remove it")


def _training(given: Loaded) -> Iterator[Problem]:
    train, task = given.train, given.config.task
    if train.accumulate > 1:
        message = "images are compared within a batch, and its parts would not see each other"
        remedy = "remove it; a smaller data.batch_size needs less memory"
        yield given.problem(("train", "accumulate"), message, remedy)
    if train.loss.entry.options.get("unit_vectors") and task.parameters.get("normalize") is False:
        there = given.at("task", "normalize")
        message = f"the loss '{train.loss.name}' is of vectors of length 1, and these are not"
        yield given.problem(("train", "loss", "name"), f"{message} ({there})", "remove normalize")
