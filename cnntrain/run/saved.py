"""What a checkpoint holds besides the learner, and how a network comes out of it again."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from cnntrain.arch.network import Network
from cnntrain.arch.planned import Plan
from cnntrain.checkpoint import State, load
from cnntrain.config.load import Loaded, load_text
from cnntrain.config.load import load as load_run_file
from cnntrain.config.show import dump_yaml, resolved_tree
from cnntrain.core.errors import CheckpointError
from cnntrain.data.pipeline import Pipeline, build_eval_pipeline
from cnntrain.run.finding import find_run
from cnntrain.run.networks import image_sizes, make_network, plan_network
from cnntrain.run.prepare import Prepared
from cnntrain.train import load_weights, snapshot


@dataclass(frozen=True)
class Trained:
    """A trained network with all that is needed to use it.

    `net` has the averaged weights where the run kept an average (EMA), and is in evaluation mode;
    `in_shape` is (C, H, W) of the images that it was evaluated on.
    """

    net: Network
    classes: tuple[str, ...]
    eval_steps: tuple[dict[str, Any], ...]
    pipeline: Pipeline
    in_shape: tuple[int, int, int]
    loaded: Loaded
    path: Path
    epoch: int


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


def read_run_file(state: State, *, path: Path, overrides: list[str]) -> Loaded:
    """The run file that a checkpoint holds, with changes from the command line.

    Raises:
        CheckpointError: the checkpoint holds none.
        ConfigError: a change is wrong.
    """
    text = state.get("config")
    if not isinstance(text, str):
        raise CheckpointError(
            f"{path} holds no run file", remedy="it was not written by `cnntrain fit`"
        )
    return load_text(text, file=path, overrides=overrides)


def load_trained(path: Path, *, overrides: list[str] | None = None) -> Trained:
    """The network of a checkpoint, on the CPU, ready to be evaluated.

    Raises:
        CheckpointError: the file is missing, damaged, or no checkpoint of a run.
    """
    state = load(path)
    loaded = read_run_file(state, path=path, overrides=overrides or [])
    classes = _strings(state, "classes", path)
    transforms = state.get("transforms")
    steps = transforms.get("eval") if isinstance(transforms, dict) else None
    if not isinstance(steps, list):
        raise CheckpointError(f"{path} holds no preprocessing", remedy="use another checkpoint")
    plan = plan_network(loaded, num_classes=len(classes))
    net = make_network(plan, seed=0)
    _put_weights(net, state, path)
    train = state.get("train")
    epoch = train.get("epoch") if isinstance(train, dict) else None
    return Trained(
        net=net.eval().requires_grad_(False),
        classes=classes,
        eval_steps=tuple(steps),
        pipeline=build_eval_pipeline(steps),
        in_shape=(plan.body.in_shape[0], *image_sizes(loaded)["eval"]),
        loaded=loaded,
        path=path,
        epoch=epoch if isinstance(epoch, int) else 0,
    )


def plan_of_run(path: Path) -> Plan:
    """The plan of a run's network, or of a checkpoint's; no data are read.

    Args:
        path: a run's folder, `runs/NAME` for its latest, or a checkpoint file.

    Raises:
        UsageError: nothing is there.
        CheckpointError: what is there is no run and no checkpoint of one.
    """
    found = find_run(path)
    if found.given is not None:
        state = load(found.given)
        loaded = read_run_file(state, path=found.given, overrides=[])
        return plan_network(loaded, num_classes=len(_strings(state, "classes", found.given)))
    assert found.run is not None
    if not (found.run.config.is_file() and found.run.classes.is_file()):
        raise CheckpointError(
            f"{found.run.path} lacks config.yaml or classes.txt", remedy="give a checkpoint file"
        )
    classes = found.run.classes.read_text(encoding="utf-8").splitlines()
    return plan_network(load_run_file(found.run.config, []), num_classes=len(classes))


def network_of(prepared: Prepared, state: State, *, path: Path) -> nn.Module:
    """A copy of the learner's network with the weights of another of its own checkpoints."""
    net = copy.deepcopy(prepared.learner.model)
    _put_weights(net, state, path)
    return net


def _put_weights(net: nn.Module, state: State, path: Path) -> None:
    """The averaged weights where there are some, as in the evaluations of the run itself."""
    what = "model" if state.get("ema") is None else "ema"
    weights = state.get(what)
    if not isinstance(weights, dict):
        raise CheckpointError(f"{path} holds no weights", remedy="use another checkpoint")
    remedy = f"{path} does not fit its own architecture: was a plugin changed since?"
    load_weights(net, weights, what, remedy=remedy)


def _strings(state: State, key: str, path: Path) -> tuple[str, ...]:
    found = state.get(key)
    if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
        return tuple(str(item) for item in found)
    raise CheckpointError(f"{path} holds no {key}", remedy="it was not written by `cnntrain fit`")
