"""What a checkpoint says of the targets of its training images, checked as it is taken out."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnntrain.checkpoint import State
from cnntrain.checkpoint.checked_values import mapping_in, wrong_part
from cnntrain.core.target_forms import IN_WORDS
from cnntrain.data.statistics import scaling_in
from cnntrain.runs.contents import classes_in, steps_in
from cnntrain.tasks.multilabel_report import THRESHOLD
from cnntrain.tasks.targets import Targets, several


def targets_in(state: State, *, path: Path = Path("the checkpoint")) -> Targets:
    """What the network learnt; classes in checkpoints of before there was anything else.

    Raises:
        CheckpointError: the checkpoint does not hold it, or it is damaged.
    """
    names = classes_in(state, path=path)
    if "targets" not in state:
        return Targets(names=names)
    part = mapping_in(state, "targets")
    steps = steps_in(state, path=path) if "transforms" in state else ()
    whitening = scaling_in(steps, channels=1).whitening
    if part.get("form") != "several":
        return _one_in(part, names, whitening)
    parts: Any = part.get("parts")
    if not isinstance(parts, list) or not all(map(_is_part, parts)) or not parts:
        raise wrong_part("targets", "parts", parts, "a list of targets with names")
    return several([_one_in(each, tuple(each["names"]), whitening) for each in parts])


def _is_part(given: Any) -> bool:
    named = given.get("names") if isinstance(given, dict) else None
    return isinstance(named, list) and all(isinstance(name, str) for name in named)


def _one_in(part: Mapping[str, Any], names: tuple[str, ...], whitening: str) -> Targets:
    form: Any = part.get("form")
    if form not in IN_WORDS or form == "several":
        raise wrong_part("targets", "form", form, f"one of {', '.join(IN_WORDS)}")
    mean = part.get("mean")
    channels = len(mean) if form == "image" and isinstance(mean, list) else 0
    count, found = len(names) if form == "numbers" else channels, []
    for key, least in (("mean", -math.inf), ("std", 0.0)):
        numbers: Any = part.get(key)
        is_list = isinstance(numbers, list) and len(numbers) == count
        if not is_list or not all(type(n) is float and least < n < math.inf for n in numbers):
            raise wrong_part("targets", key, numbers, f"a list of {count} numbers")
        found.append(tuple(numbers))
    whitening = whitening if form == "image" else ""
    return Targets(form, names, mean=found[0], std=found[1], whitening=whitening)


def targets_of_weights(state: State, *, path: Path) -> Targets:
    """The same, with what the validation of these weights has chosen."""
    train = mapping_in(state, "train") if "train" in state else {}
    return with_thresholds(targets_in(state, path=path), _last_figures(train))


def _last_figures(train: Mapping[str, Any]) -> Mapping[str, Any]:
    """The figures of the last validation that a checkpoint's part `train` knows of, if any."""
    found: Any = train
    for key in ("so_far", "last", "validation", "figures"):
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def with_thresholds(targets: Targets, figures: Mapping[str, Any]) -> Targets:
    """The targets with the thresholds that a validation has chosen, where they are of labels."""
    if targets.form != "labels":
        return targets
    chosen: list[Any] = [figures.get(f"{THRESHOLD}{name}") for name in targets.names]
    if not all(type(each) is float and 0 <= each <= 1 for each in chosen):
        return targets
    return replace(targets, thresholds=tuple(chosen))
