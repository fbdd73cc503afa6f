"""The penalties on activations that a run file lists, and what keeps them from being obeyed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cnntrain.arch.network import Network
from cnntrain.assemble.make_parts import make_choice
from cnntrain.config.loaded import Loaded
from cnntrain.config.train_section import PenaltyCall
from cnntrain.core.document import KeyPath
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem, suggestion
from cnntrain.show.words import listed
from cnntrain.train.activations import ActivationPenalty, directly_behind
from cnntrain.train.together import ALONE, Processes


def make_penalties(
    loaded: Loaded, net: Network, *, processes: Processes = ALONE
) -> tuple[ActivationPenalty, ...]:
    """The run file's penalties on the layers of `net`, which may be on the meta device.

    Raises:
        ConfigError: layers are unknown or do not suit, or the batches are in parts; all of it, each
            at its line.
    """
    if loaded.config.train is None:
        return ()
    found: list[ActivationPenalty] = []
    problems: list[Problem] = []
    for index, call in enumerate(loaded.train.penalties):
        path = ("train", "penalties", index, call.name)
        made = make_choice(call, loaded=loaded, path=path, given={})
        found.append(made)
        problems += _misplaced(made, loaded, net, path)
        problems += _in_parts(call, loaded, path, processes)
    if problems:
        raise ConfigError.of(problems)
    return tuple(found)


def _misplaced(
    penalty: ActivationPenalty, loaded: Loaded, net: Network, path: KeyPath
) -> Iterator[Problem]:
    here = (*path, "layers")
    finetune = loaded.config.finetune
    if finetune is not None and finetune.probe:
        message = "a linear probe runs its head alone, so other layers give nothing to penalise"
        yield loaded.problem(here, message, "remove this, or finetune.probe")
        return
    if not penalty.layers:
        yield loaded.problem(
            here, "no layer is named", f"the network has {listed([*net.operations], most=12)}"
        )
    for position, name in enumerate(penalty.layers):
        at = (*here, position)
        if name not in net.operations:
            message = f"the network has no layer '{name}'"
            yield loaded.problem(at, message, suggestion(name, list(net.operations)))
            continue
        behind = directly_behind(net, name)
        follows = None if behind is None else net.operations[behind]
        wrong = penalty.misplaced(net.operations[name], follows)
        if wrong is not None:
            yield loaded.problem(at, f"'{name}': {wrong.reason}", wrong.remedy)


def _in_parts(
    call: PenaltyCall, loaded: Loaded, path: KeyPath, processes: Processes
) -> Iterator[Problem]:
    """A batch that is computed in parts: its means are known for each part only."""
    weights: Any = loaded.train.loss.parameters.get("class_weights")
    if "whole_batch" in call.entry.options:
        why = "needs the means over a whole batch"
    elif weights is not None:
        why = "counts every image alike, and class_weights do not"
    else:
        return
    if loaded.train.accumulate > 1:
        parts = f"a batch is computed in parts ({loaded.at('train', 'accumulate')})"
        message = f"'{call.name}' {why}, but {parts}"
        yield loaded.problem(path, message, "set train.accumulate: 1, or remove this", key=True)
    if not processes.is_alone:
        message = f"'{call.name}' {why}, but {processes.count} processes share a batch"
        yield loaded.problem(path, message, "start one process, or remove this", key=True)
