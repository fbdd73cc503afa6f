"""All that a run needs to go on exactly, as one tree of plain values and tensors; and back."""

from __future__ import annotations

from collections.abc import Mapping
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cnntrain.checkpoint import State, capture_randomness, restore_randomness, tensors_in
from cnntrain.checkpoint.archive import REMEDY
from cnntrain.checkpoint.checked_values import (
    kind_of,
    mapping_in,
    number_in,
    tensor_in,
    whole_in,
    wrong_part,
)
from cnntrain.core.errors import CheckpointError, DivergedError
from cnntrain.optim.guarded import GuardedOptimizer
from cnntrain.show.words import listed
from cnntrain.train.finite import all_finite
from cnntrain.train.learner import Learner

_REMEDY = "resume with the architecture and the recipe that the run was started with"

_ONLY_TO_RESUME = ("optimizer", "scaler", "start", "random", "window", "good")
"""What a checkpoint holds that is needed for more training of its run, and for nothing else."""


def snapshot(learner: Learner) -> State:
    """Model, average, starting point, optimizer, scaler, random states and position.

    In the middle of an epoch also `good`, the state to go back to, where there is one.

    The tensors are the live ones: write them, or copy them, before training continues.

    Raises:
        DivergedError: a weight or a state is not finite; no checkpoint may hold that.
    """
    state: State = {
        "model": dict(learner.model.state_dict()),
        "ema": None if learner.ema is None else learner.ema.state_dict(),
        "start": dict(learner.start),
        "optimizer": _optimizer_state(learner),
        "scaler": dict(learner.scaler.state_dict()),
        "train": learner.state.state_dict(),
        "random": capture_randomness(),
        "good": learner.good if learner.state.batch else None,
    }
    if learner.state.diverged or not all_finite(tensors_in(state)):
        raise DivergedError(
            f"training has diverged by step {learner.state.step}: its state is not saved",
            remedy="the last checkpoint is from before that",
        )
    return state


def weights_alone(state: State) -> State:
    """What of a checkpoint evaluates, predicts, or lends weights; training cannot resume from it.

    Of weights and their average that is the average, which was evaluated.
    """
    left_out = {*_ONLY_TO_RESUME, *(("model",) if state.get("ema") is not None else ())}
    return {name: part for name, part in state.items() if name not in left_out}


def are_weights_alone(state: State) -> bool:
    """Whether that is what a checkpoint holds."""
    return "optimizer" not in state


def restore(learner: Learner, state: State) -> None:
    """Put a new learner where a snapshot was taken.

    The optimizer's buffers are restored, its numbers (momentum, weight decay, ...) are those that
    the learner was made with: what the run file says now is obeyed.

    Raises:
        CheckpointError: the snapshot is of another network, optimizer or kind of run.
    """
    load_weights(learner.model, mapping_in(state, "model"), "model")
    if (learner.ema is None) != (state.get("ema") is None):
        had = "has" if learner.ema is None else "has no"
        raise CheckpointError(f"the checkpoint {had} averaged weights (ema)", remedy=_REMEDY)
    if learner.ema is not None:
        load_weights(learner.ema.model, mapping_in(state, "ema"), "ema")
    _load_start(learner, state.get("start", {}))
    _load_optimizer(learner, mapping_in(state, "optimizer"))
    _load_scaler(learner, mapping_in(state, "scaler"))
    learner.state.load_state_dict(mapping_in(state, "train"))
    restore_randomness(mapping_in(state, "random"))
    learner.good = None if state.get("good") is None else mapping_in(state, "good")
    if not all_finite(tensors_in(state)):
        message = "the checkpoint's weights, averages or optimizer have values that are not finite"
        raise CheckpointError(message, remedy=REMEDY)


def _load_scaler(learner: Learner, saved: State) -> None:
    if bool(saved) != learner.scaler.is_enabled():
        kind = "float16" if saved else "another precision than float16"
        raise CheckpointError(f"the checkpoint was trained in {kind}", remedy=_REMEDY)
    own = learner.scaler.state_dict()
    learner.scaler.load_state_dict(
        {
            name: whole_in(saved, name, part="scaler")
            if isinstance(value, int)
            else number_in(saved, name, part="scaler", low=0.0)
            for name, value in own.items()
        }
    )


def _load_start(learner: Learner, saved: object) -> None:
    """What L2-SP pulls the weights towards, into the learner's own tensors."""
    if not isinstance(saved, dict) or saved.keys() != learner.start.keys():
        raise CheckpointError("the checkpoint has other starting points (l2_sp)", remedy=_REMEDY)
    for name, start in learner.start.items():
        start.copy_(tensor_in(saved, name, like=start, part="start"))


def _optimizer_state(learner: Learner) -> State:
    """Buffers by parameter name, so that regrouping the parameters does not mix them up."""
    names = {id(parameter): name for name, parameter in learner.model.named_parameters()}
    buffers = {names[id(p)]: dict(values) for p, values in learner.optimizer.state.items()}
    return {"kind": type(learner.optimizer).__name__, "buffers": buffers}


def _load_optimizer(learner: Learner, saved: State) -> None:
    optimizer: Optimizer = learner.optimizer
    kind = type(optimizer).__name__
    if not isinstance(saved.get("kind"), str):
        raise wrong_part("optimizer", "kind", saved.get("kind"), "the name of an optimizer")
    if saved["kind"] != kind:
        raise CheckpointError(
            f"the checkpoint was trained with {saved['kind']}, not with {kind}", remedy=_REMEDY
        )
    buffers = mapping_in(saved, "buffers", part="optimizer")
    trained = {id(p) for group in optimizer.param_groups for p in group["params"]}
    named = dict(learner.model.named_parameters())
    unknown = [name for name in buffers if name not in named or id(named[name]) not in trained]
    if unknown:
        raise CheckpointError(
            f"the checkpoint's optimizer trains {listed(unknown, most=5)}, which this run does not",
            remedy=_REMEDY,
        )
    for name in buffers:
        parameter, part = named[name], f"optimizer.buffers.{name}"
        values = mapping_in(buffers, name, part="optimizer.buffers")
        for key, like in _buffers(optimizer, parameter).items():
            tensor_in(values, key, like=like, part=part)
        optimizer.state[parameter] = {key: _like(v, parameter) for key, v in values.items()}


def _buffers(optimizer: Optimizer, parameter: Tensor) -> dict[str, Tensor]:
    """What the optimizer keeps of a parameter once it has moved it: tensors of the same shapes.

    Nothing where that is unknown: of an optimizer that is neither torch's nor cnntrain's.
    """
    kind = type(optimizer)
    if optimizer.state.get(parameter):
        return dict(optimizer.state[parameter])
    (group,) = (g for g in optimizer.param_groups if any(p is parameter for p in g["params"]))
    if isinstance(optimizer, GuardedOptimizer):
        return optimizer.start(parameter.detach(), group)
    if not kind.__module__.startswith("torch."):
        return {}
    given = signature(kind).parameters.keys() & optimizer.defaults.keys()
    small = torch.zeros(1).requires_grad_()
    small.grad = torch.zeros_like(small)
    twin = kind([small], **{key: group[key] for key in given})
    twin.step()
    found = {key: value for key, value in twin.state[small].items() if isinstance(value, Tensor)}
    return {key: parameter.detach() if value.ndim else value for key, value in found.items()}


def _like(value: object, parameter: Tensor) -> object:
    """On the parameter's device, and in its memory format where it has its shape."""
    if not isinstance(value, Tensor):
        return value
    if value.shape == parameter.shape:
        return torch.empty_like(parameter.detach(), dtype=value.dtype).copy_(value)
    return value.to(parameter.device)


def load_weights(model: nn.Module, saved: State, what: str, *, remedy: str = _REMEDY) -> None:
    """Put saved weights into a network that has exactly these names and shapes.

    Raises:
        CheckpointError: they do not fit; names `what` they are in the checkpoint (`model` or
            `ema`), and the first that does not.
    """
    own: Mapping[str, Tensor] = model.state_dict()
    missing = [name for name in own if name not in saved]
    unknown = [name for name in saved if name not in own]
    if missing or unknown:
        parts = [f"lacks {listed(missing, most=5)}"] if missing else []
        parts += [f"has {listed(unknown, most=5)} in addition"] if unknown else []
        raise CheckpointError(
            f"the checkpoint's {what} is of another network: it {' and '.join(parts)}",
            remedy=remedy,
        )
    for name, value in own.items():
        given: Any = saved[name]
        shape = tuple(given.shape) if isinstance(given, Tensor) else type(given).__name__
        if shape != tuple(value.shape):
            raise CheckpointError(
                f"the checkpoint's {what} is of another network: {name} is {shape} there and "
                f"{tuple(value.shape)} here",
                remedy=remedy,
            )
        if kind_of(given) != kind_of(value):
            raise wrong_part(what, name, given, f"numbers of {value.dtype}")
    model.load_state_dict(saved)
