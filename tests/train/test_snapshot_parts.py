"""Each value of a snapshot replaced by one of another kind: refused, and the part named."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from cnntrain.checkpoint import State
from cnntrain.core.errors import CheckpointError
from cnntrain.optim import parameter_groups
from cnntrain.optim.optimizers.adam import adam
from cnntrain.optim.optimizers.adamw import adamw
from cnntrain.optim.optimizers.lamb import Lamb
from cnntrain.optim.optimizers.muon import Muon
from cnntrain.train import Learner, restore, snapshot, train

HUGE = 10**30
WRONG: list[Any] = [
    "x", [["x"]], None, HUGE, math.nan, -1, {"a": 1}, {1: 2}, torch.zeros(7), b"x", True,
    torch.full((2, 2), math.nan), torch.zeros((), dtype=torch.complex64),
]  # fmt: skip
FREE = {
    ("train", "best_epoch"), ("train", "best_error"), ("train", "best_loss"), ("train", "plateau"),
    ("train", "early_stop"), ("random", "python"), ("random", "numpy"),
}  # fmt: skip
"""Of these some of the values above are as good as others."""
NEWER = [("so_far",), ("run_seconds",), ("skips",), ("rollbacks",)]
"""Absent in checkpoints of before."""

ALSO = {"ema": "averaged", "start": "l2_sp", "scaler": "float16"}
"""What messages call a part besides its name."""


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    if path:
        yield path, value
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))


def changed(state: State, path: tuple[Any, ...], value: Any) -> State:
    """The state with another value at a place; with none where `value` is `places`."""
    found = copy.deepcopy(state)
    inner: Any = found
    for key in path[:-1]:
        inner = inner[key]
    if value is places:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return found


def trained(make_setup: Callable, **options: Any) -> tuple[Learner, State]:
    setup = make_setup(epochs=1, **options)
    for _ in train(setup.learner, **setup.arguments):
        pass
    state = copy.deepcopy(snapshot(setup.learner))
    restore(setup.learner, state)
    return setup.learner, state


def test_every_value(make_setup: Callable) -> None:
    learner, state = trained(make_setup, precision="float16")
    for path, own in places(state):
        for value in (*WRONG, places):
            try:
                restore(learner, changed(state, path, value))
            except CheckpointError as error:
                said = str(error)
            else:
                said = ""
            is_free = path == ("start",) or path[:2] in FREE
            # only a training that may go back has a state to go back to
            is_free |= path == ("good",) and (value in (None, places) or isinstance(value, dict))
            # a parameter that has not moved yet has no buffers
            is_free |= value is places and path[:2] == ("optimizer", "buffers") and len(path) == 3
            is_free |= value is HUGE and isinstance(own, float)  # any number
            is_free |= value is places and path[1:] in NEWER
            # a figure may be any number, absent, or none
            is_free |= path[1:2] == ("so_far",) and (
                value is None or value is places or type(value) in (int, float, dict)
            )
            is_free |= path[-1] == "guessed" and isinstance(value, str)  # words
            if not said and not is_free:
                pytest.fail(f"{path} may be {value!r}")
            words = (path[0], ALSO.get(path[0], "trained with"), "values that are not finite")
            assert not said or any(word in said for word in words)
            assert "\n" not in said
    restore(learner, state)


@pytest.mark.parametrize("make", [adam, adamw, Lamb, Muon])
def test_what_optimizers_keep(make_setup: Callable, make: Callable) -> None:
    """Buffers that are missing, or of another shape, would end the first step."""
    setup = make_setup(epochs=1)
    model = setup.learner.model

    def learner() -> Learner:
        groups = parameter_groups(model, weight_decay=0.0)
        return Learner(model, make(groups=groups), ema=setup.learner.ema)

    setup.learner = learner()
    for _ in train(setup.learner, **setup.arguments):
        pass
    state = copy.deepcopy(snapshot(setup.learner))
    restore(learner(), state)
    buffers: Any = state["optimizer"]
    kept = buffers["buffers"]["conv1.weight"]
    assert kept
    for name, value in kept.items():
        path = ("optimizer", "buffers", "conv1.weight", name)
        for other in (places, value[None], None, "x", value.to(torch.complex64)):
            with pytest.raises(CheckpointError, match=re.escape(f"'{name}'")):
                restore(learner(), changed(state, path, other))


def test_a_checkpoint_from_the_first_step_on(make_setup: Callable) -> None:
    """Before the first step the optimizer keeps nothing yet."""
    setup = make_setup()
    state = copy.deepcopy(snapshot(setup.learner))
    restore(make_setup().learner, state)


def test_weights_that_are_not_finite(make_setup: Callable) -> None:
    learner, state = trained(make_setup)
    weights: Any = state["model"]
    assert isinstance(weights["fc1.weight"], Tensor)
    weights["fc1.weight"][0, 0] = math.inf
    with pytest.raises(CheckpointError, match="values that are not finite"):
        restore(learner, state)
