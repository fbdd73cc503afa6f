"""Keys of `finetune` that contradict each other, or others; see `rules`."""

from __future__ import annotations

from collections.abc import Iterator

from cnntrain.config.finetune_section import FinetuneSection
from cnntrain.config.given import Given, Rule
from cnntrain.core.problems import Problem
from cnntrain.data import TRANSFORMS

SOURCES = ("torchvision", "run", "file")
TRAINING = ("freeze", "unfreeze", "lr_scale", "layer_decay", "l2_sp", "probe")
"""What has a meaning only while the network is trained."""


def _of(given: Given) -> FinetuneSection:
    assert given.config.finetune is not None
    return given.config.finetune


def _used(finetune: FinetuneSection) -> list[str]:
    """The keys of `TRAINING` that are set to something."""
    return [key for key in TRAINING if getattr(finetune, key)]


def _one_source(given: Given) -> Iterator[Problem]:
    weights = _of(given).weights
    named = [key for key in SOURCES if getattr(weights, key) is not None]
    path = ("finetune", "weights")
    if not named:
        message = "no weights are named"
        yield given.problem(path, message, f"give one of {', '.join(SOURCES)}")
    for other in named[1:]:
        first = given.at(*path, named[0])
        message = f"the weights have two sources: '{named[0]}' ({first}) and '{other}'"
        yield given.problem((*path, other), message, "remove one of the two")


def _training_only(given: Given) -> Iterator[Problem]:
    finetune = _of(given)
    if given.config.train is not None:
        return
    keys = [*_used(finetune), *(["head"] if finetune.head == "new" else [])]
    for key in keys:
        message = f"'{key}' has no effect in a file without `train`"
        yield given.problem(("finetune", key), message, "add `train:`, or remove this")


def _unfreezing(given: Given) -> Iterator[Problem]:
    finetune = _of(given)
    if finetune.unfreeze and not finetune.freeze and not finetune.probe:
        message = "nothing is frozen that could be unfrozen (finetune.freeze)"
        yield given.problem(("finetune", "unfreeze"), message, "name layers in finetune.freeze")
    train = given.config.train
    for epoch in finetune.unfreeze:
        path = ("finetune", "unfreeze", str(epoch))
        if epoch == 1:
            message = "from epoch 1 on means that these layers are never frozen"
            yield given.problem(path, message, "take them out of finetune.freeze")
        elif train is not None and epoch > train.epochs:
            end = f"training ends after {train.epochs} ({given.at('train', 'epochs')})"
            message = f"epoch {epoch} is never reached: {end}"
            yield given.problem(path, message, "lower it, or raise train.epochs")


def _probing(given: Given) -> Iterator[Problem]:
    finetune = _of(given)
    if not finetune.probe:
        return
    there = given.at("finetune", "probe")
    for key in _used(finetune):
        if key != "probe":
            message = f"'{key}' has no effect on a linear probe ({there}): only the head learns"
            yield given.problem(("finetune", key), message, "remove one of the two")
    for index, call in enumerate(given.config.data.transforms.train):
        if TRANSFORMS.entry(call.name).options.get("random"):
            message = f"'{call.name}' is random, but a probe computes its features once ({there})"
            path = ("data", "transforms", "train", index)
            yield given.problem(path, message, "remove it, or the list: eval's is used then")


def _recalibration(given: Given) -> Iterator[Problem]:
    finetune, train = _of(given), given.config.train
    still = "probe" if finetune.probe else "freeze"
    if train is not None and train.recalibrate and getattr(finetune, still):
        there = given.at("finetune", still)
        message = f"recalibration would change the statistics of frozen layers ({there})"
        yield given.problem(("train", "recalibrate"), message, "remove one of the two")


FINETUNE_RULES: tuple[Rule, ...] = (
    _one_source,
    _training_only,
    _unfreezing,
    _probing,
    _recalibration,
)
