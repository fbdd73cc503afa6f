"""A run file with wrong keys, as it was probably meant: so that one check finds what else is wrong.

A misspelt key counts as the one that it resembles, a wrong value as the default, and a required one
as a value that no rule objects to. Nothing is ever done with such a configuration but checking it.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from cnntrain.config.keys import keys_at
from cnntrain.config.schema import RunConfig
from cnntrain.core.complaints import dotted, real_path, value_at
from cnntrain.core.document import KeyPath
from cnntrain.core.problems import near_match

_STAND_INS: dict[str, Any] = {
    "train.epochs": 1_000_000,
    "train.optimizer": {"name": "sgd", "lr": 0.1},
    "train.optimizer.name": "sgd",
    "train.optimizer.lr": 0.1,
    "train.early_stop.patience": 1,
    "data.split": {"validation": 0.1},
    "data.split.validation": 0.1,
}
"""For what is wrong or missing, where the default would break a rule or there is none."""

_ROUNDS = 4
"""A mended value can bring up another error, such as a missing key of what is now chosen."""


def mended(
    tree: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]
) -> tuple[RunConfig | None, tuple[str, ...]]:
    """The configuration of a mended copy, if that can be made, and the mended keys, dotted.

    `errors` are pydantic's about the tree.
    """
    names: list[str] = []
    changed: Any = copy.deepcopy(tree)
    for _ in range(_ROUNDS):
        for each in errors:
            path = real_path(changed, tuple(each["loc"]), keep_last=each["type"] == "missing")
            if not path:
                return None, ()
            _mend(changed, path, each["type"])
            names.append(dotted("", path))
        try:
            return RunConfig.model_validate(changed), tuple(names)
        except ValidationError as error:
            errors = error.errors()
    return None, ()


def _mend(tree: dict[str, Any], path: KeyPath, kind: str) -> None:
    *around, key = path
    try:
        parent = value_at(tree, tuple(around))
    except (KeyError, IndexError, TypeError):
        return  # what held it is mended already
    if isinstance(parent, list):  # as a whole: without one item the others' lines would be wrong
        _mend(tree, tuple(around), "value")
        return
    if not isinstance(parent, dict):
        return
    value = parent.pop(key, None)
    if kind == "extra_forbidden":
        meant = near_match(str(key), keys_at(tree, tuple(around)), taken=parent)
        if meant is not None:
            parent.setdefault(meant, value)
        return
    name = dotted("", (*around, key))
    if name in _STAND_INS:
        parent[key] = copy.deepcopy(_STAND_INS[name])
    elif kind == "missing" and around:
        _mend(tree, tuple(around), "value")
