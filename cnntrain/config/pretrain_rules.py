"""Contradictions about `pretrain` that can be seen without the network."""

from __future__ import annotations

from collections.abc import Iterator

from cnntrain.config.loaded import Loaded
from cnntrain.config.train_section import AUTO
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import Problem

PRETRAIN_AT = ("pretrain",)


def broken_pretrain_rules(given: Loaded) -> Iterator[Problem]:
    """What is wrong with the section as a whole; for its stages see `assemble.stages`."""
    section = given.config.pretrain
    if section is None:
        return
    if given.config.train is None:
        message = "nothing is pre-trained in a file without `train`"
        yield given.problem(PRETRAIN_AT, message, "add `train:`, or remove this", key=True)
    if given.config.finetune is not None:
        there = given.at("finetune")
        message = f"training would start from pre-trained layers and from other weights ({there})"
        yield given.problem(PRETRAIN_AT, message, "remove one of the two", key=True)
    if section.optimizer is not None and section.optimizer.lr == AUTO:
        message = "auto is found for train.optimizer alone, by the labels"
        yield given.problem((*PRETRAIN_AT, "optimizer", "lr"), message, "give a number")
    if not section.stages:
        remedy = "list one: `- {to: LAYER, decoder: [...]}`"
        yield given.problem((*PRETRAIN_AT, "stages"), "there is no stage", remedy)


def refuse_pretraining(given: Loaded, *, doing: str) -> None:
    """Refuse a run of several stages where one training is expected.

    Raises:
        UsageError: the file has `pretrain`.
    """
    if given.config.pretrain is not None:
        message = f"{given.file} pre-trains in stages ({given.at(*PRETRAIN_AT)}), not for {doing}"
        raise UsageError(message, remedy="set -s pretrain=null, or train it with `cnntrain fit`")
