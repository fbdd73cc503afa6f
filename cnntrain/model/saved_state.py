"""What a run's checkpoint holds besides the learner, and its weights put into a network again."""

from __future__ import annotations

import copy
from pathlib import Path

from torch import nn

from cnntrain.assemble.prepare import Prepared
from cnntrain.checkpoint import State
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.runs.contents import weights_in
from cnntrain.train import load_weights, snapshot


def whole_state(prepared: Prepared) -> State:
    """The learner's snapshot with the resolved run file, the classes and the preprocessing."""
    data = prepared.data
    return {
        **snapshot(prepared.learner),
        "config": dump_yaml(resolved_tree(prepared.loaded.config)),
        "classes": list(data.classes),
        "counts": list(data.counts["train"]),
        "transforms": {
            "train": [dict(step) for step in data.train_pipeline],
            "eval": [dict(step) for step in data.eval_pipeline],
        },
    }


def network_of(prepared: Prepared, state: State) -> nn.Module:
    """A copy of the learner's network with the weights of another of its own states."""
    net = copy.deepcopy(prepared.learner.model)
    put_weights(net, state, Path("the state"))
    return net


def put_weights(net: nn.Module, state: State, path: Path) -> None:
    """Load the averaged weights where there are some, as in the evaluations of the run itself."""
    what, weights = weights_in(state, path=path)
    remedy = f"{path} does not fit its own architecture: was a plugin changed since?"
    load_weights(net, weights, what, remedy=remedy)
