"""Images are prepared as they were for the weights that a run starts from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from cnntrain.assemble.transfer.sources import at_source, known_steps, pinned
from cnntrain.config.loaded import TRANSFORMS_AT, Loaded
from cnntrain.config.rules import broken_rules
from cnntrain.config.schema import TransformCall, TransformsSection
from cnntrain.core.errors import ConfigError
from cnntrain.data import TRANSFORMS
from cnntrain.data.metadata import facts
from cnntrain.show.whitening import alike
from cnntrain.show.words import counted

_NUMBERS = ("mean", "std")
_LEARNT = {"normalize": _NUMBERS, "zca": ("learnt",)}
"""Parameters that are the training images' where they are not given."""


def follow_weights(loaded: Loaded) -> Loaded:
    """The run file with the preprocessing of its weights, where it does not say another one.

    Without `data.transforms.eval` images are prepared as in the evaluation of the weights, and
    without `data.transforms.train` training images too. A `normalize` without numbers gets theirs,
    so does a `zca` that is else the same.
    A file of weights that cnntrain did not export says nothing: the run file stays as it is. Of
    weights of the hub the commit is added.

    Raises:
        CheckpointError, ConfigError: the weights do not say, or do not fit the data.
    """
    if loaded.follows_weights:  # the weights were asked when the file was checked
        return loaded
    loaded = pinned(loaded) if loaded.config.finetune is not None else loaded
    config = loaded.config
    given = {split: loaded.is_given((*TRANSFORMS_AT, split)) for split in ("train", "eval")}
    whole = config.data.transforms
    asks = not all(given.values()) or _unnumbered((*whole.train, *whole.eval))
    steps = known_steps(loaded) if config.finetune is not None and asks else None
    if steps is None:
        return loaded
    with at_source(loaded):
        theirs = tuple(_call(step) for step in steps)
    numbers = {call.name: call.parameters for call in theirs if call.name in _LEARNT}
    with at_source(loaded):
        _check_channels(loaded, numbers.get("normalize", {}))
    evaluation = _numbered(whole.eval, numbers) if given["eval"] else theirs
    training = _numbered(whole.train, numbers) if given["train"] else evaluation
    transforms = TransformsSection(train=training, eval=evaluation)
    data = config.data.model_copy(update={"transforms": transforms})
    changed = config.model_copy(update={"data": data})
    followed = dataclasses.replace(loaded, config=changed, follows_weights=True)
    problems = broken_rules(followed)
    if problems:
        raise ConfigError.of(problems)
    return followed


def _check_channels(loaded: Loaded, numbers: Mapping[str, Any]) -> None:
    """Raise a ConfigError if the weights are for images with more or fewer channels."""
    data, theirs = loaded.config.data, len(numbers.get("mean") or ())
    ours = facts(data.name, data.parameters).channels
    if theirs and theirs != ours:
        message = (
            f"the weights are for images of {counted(theirs, 'channel')}, but those of "
            f"'{data.name}' have {ours} ({loaded.at('data', 'name')})"
        )
        can = "channels" in data.parameters and theirs in (1, 3)
        remedy = f"set -s data.channels={theirs}, or take" if can else "take"
        raise ConfigError(message, remedy=f"{remedy} weights for images of {ours}")


def lacks_numbers(loaded: Loaded) -> bool:
    """Whether evaluation normalises with numbers that were not given."""
    return _unnumbered(loaded.config.data.transforms.eval)


def other_numbers(loaded: Loaded, steps: Sequence[dict[str, Any]]) -> str | None:
    """In words, that evaluation normalises otherwise than `steps` did for the weights, if so."""
    own = plain_steps(loaded)
    here, there = _normalisation(own), _normalisation(steps)
    # nearer than 0.01 is rounding, or less than matters
    is_near = len(here) == len(there) and all(
        abs(a - b) < 0.01 for a, b in zip(here, there, strict=True)
    )
    whitenings = {_whitening(own), _whitening(steps)}
    if is_near and (len(whitenings) == 1 or (all(whitenings) and alike(*map(str, whitenings)))):
        return None
    return (
        f"images are {_in_words(own)}, but for these weights they were {_in_words(steps)}; "
        "without `data.transforms.eval` it is done as for them"
    )


def _normalisation(steps: Sequence[Mapping[str, Any]]) -> tuple[float, ...]:
    """Means, then deviations; nothing where images are not normalised."""
    step = next((step for step in steps if step["name"] == "normalize"), {})
    return tuple(value for key in _NUMBERS for value in step.get(key) or ())


def _whitening(steps: Sequence[Mapping[str, Any]]) -> str | None:
    """The text of `zca`; empty before it is learnt, None where images are not whitened."""
    return next((step.get("learnt") or "" for step in steps if step["name"] == "zca"), None)


def _in_words(steps: Sequence[Mapping[str, Any]]) -> str:
    if epsilons := [step["epsilon"] for step in steps if step["name"] == "zca"]:
        return f"whitened with epsilon {epsilons[0]:g}"
    if not (numbers := _normalisation(steps)):
        return "not normalised"
    half = len(numbers) // 2
    mean, std = (", ".join(f"{n:.3g}" for n in part) for part in (numbers[:half], numbers[half:]))
    return f"normalised with mean [{mean}], std [{std}]"


def plain_steps(loaded: Loaded) -> tuple[dict[str, Any], ...]:
    """The evaluation transforms as plain data, as a checkpoint holds them."""
    return tuple(
        {
            "name": call.name,
            **{k: list(v) if isinstance(v, tuple) else v for k, v in call.parameters.items()},
        }
        for call in loaded.config.data.transforms.eval
    )


def _unnumbered(calls: Sequence[TransformCall]) -> bool:
    return any(c.parameters.get(key) is None for c in calls for key in _LEARNT.get(c.name, ()))


def _numbered(
    calls: Sequence[TransformCall], numbers: Mapping[str, Mapping[str, Any]]
) -> tuple[TransformCall, ...]:
    """The same transforms; one that was given no numbers has these, if it is else the same."""
    return tuple(
        TransformCall(name=call.name, parameters={**call.parameters, **theirs})
        if _unnumbered([call])
        and all(
            theirs.get(k) == v for k, v in call.parameters.items() if k not in _LEARNT[call.name]
        )
        else call
        for call in calls
        for theirs in [numbers.get(call.name, {})]
    )


def _call(step: dict[str, Any]) -> TransformCall:
    values = dict(step)
    name = str(values.pop("name"))
    entry = TRANSFORMS.find(name)
    if entry is None:
        message = f"images were prepared for the weights with '{name}', which is not known here"
        raise ConfigError(message, remedy="name its file in `plugins`, or give data.transforms")
    parameters, complaints = entry.check(values)
    if complaints:  # a transform of one's own was changed since the run
        raise ConfigError(complaints[0].message, remedy=complaints[0].remedy)
    return TransformCall(name=name, parameters=parameters)
