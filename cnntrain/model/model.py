"""What a checkpoint holds besides the learner, and how a network comes out of it again."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.assemble.networks import image_sizes, make_network, plan_network
from cnntrain.assemble.parts import data_errors
from cnntrain.assemble.prepare import Prepared
from cnntrain.assemble.transfer.preprocessing import follow_weights, lacks_numbers, plain_steps
from cnntrain.assemble.transfer.sources import Source, read_source
from cnntrain.assemble.transfer.weights import start_from
from cnntrain.checkpoint import State, load
from cnntrain.config import shipped
from cnntrain.config.load import Loaded
from cnntrain.config.load import load as load_run_file
from cnntrain.config.show import dump_yaml, resolved_tree
from cnntrain.core.errors import CheckpointError, ConfigError, UsageError
from cnntrain.data.metadata import facts
from cnntrain.data.pipeline import Pipeline, build_eval_pipeline
from cnntrain.data.read import open_splits
from cnntrain.runs.contents import classes_in, read_run_file, steps_in, weights_in
from cnntrain.runs.locate import find_run, has_run, run_file_at
from cnntrain.train import load_weights, snapshot


@dataclass(frozen=True)
class Trained:
    """A trained network with all that is needed to use it.

    `net` has the averaged weights where the run kept an average (EMA), and is in evaluation mode;
    `in_shape` is (C, H, W) of the images that it was evaluated on; `path` is the file of the
    weights; `epoch` is 0 where nobody knows it; `is_best` says that its result on the validation
    images selected that epoch.
    """

    net: Network
    classes: tuple[str, ...]
    eval_steps: tuple[dict[str, Any], ...]
    pipeline: Pipeline
    in_shape: tuple[int, int, int]
    loaded: Loaded
    path: Path
    epoch: int
    is_best: bool = False


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


def open_trained(path: Path, overrides: Sequence[str] = ()) -> Trained:
    """The network of a run, of a checkpoint, or of a run file that names weights; on the CPU.

    A run file's network gets all of its weights from `finetune.weights`, the head included; its
    images are prepared as `data.transforms.eval` says, or as they were for those weights.

    Args:
        path: a run's folder, `runs/NAME` for its latest, a checkpoint file, or a run file (or the
            name of a shipped one).
        overrides: changes of the run file, from the command line.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network.
        ConfigError: the run file names none, or does not say how images are normalised.
        UsageError: nothing is there.
    """
    file = run_file_at(path)
    if file is None:
        found = find_run(path, others=shipped.names())
        return load_trained(found.to_evaluate(), overrides=list(overrides))
    loaded = follow_weights(load_run_file(file, overrides))
    if loaded.config.finetune is None:
        trained = Path(loaded.config.record.root, loaded.config.name)
        remedy = "give a run's folder, or name weights in the file (finetune.weights)"
        remedy = f"did you mean '{trained}'?" if has_run(trained) else remedy
        raise UsageError(f"{path} is a run file without weights", remedy=remedy)
    if lacks_numbers(loaded):
        message = "nobody says how images were normalised for these weights"
        remedy = "give the numbers: `normalize: {mean: [...], std: [...]}`"
        at_list = ("data", "transforms", "eval")
        raise ConfigError.of([loaded.problem(at_list, message, remedy)])
    return _with_weights(loaded, read_source(loaded))


def _with_weights(loaded: Loaded, source: Source) -> Trained:
    classes = _class_names(loaded, source)
    plan = plan_network(loaded, num_classes=len(classes))
    net = make_network(plan, seed=0)
    start_from(source, net, loaded=loaded, plan=plan, classes=classes, whole=True)
    steps = plain_steps(loaded)
    return Trained(
        net=net.eval().requires_grad_(False),
        classes=classes,
        eval_steps=steps,
        pipeline=build_eval_pipeline(steps),
        in_shape=(plan.body.in_shape[0], *image_sizes(loaded)["eval"]),
        loaded=loaded,
        path=source.path,
        epoch=source.epoch,
    )


def _class_names(loaded: Loaded, source: Source) -> tuple[str, ...]:
    """A run's own; else the data's if their names are known without reading; else the source's."""
    assert loaded.config.finetune is not None
    data, is_run = loaded.config.data, loaded.config.finetune.weights.run is not None
    names = None if is_run else facts(data.name, data.parameters).class_names
    names = names or source.classes
    if names is None:
        with data_errors(loaded):
            splits = open_splits(data.name, parameters=data.parameters, validation=None, seed=0)
        names = splits.classes
    return names


def load_trained(path: Path, *, overrides: list[str] | None = None) -> Trained:
    """The network of a checkpoint, on the CPU, ready to be evaluated.

    Raises:
        CheckpointError: the file is missing, damaged, or no checkpoint of a run.
    """
    return trained_from(load(path), path=path, overrides=overrides)


def trained_from(state: State, *, path: Path, overrides: list[str] | None = None) -> Trained:
    """The same from a checkpoint's contents; `path` is what to call it."""
    loaded = read_run_file(state, path=path, overrides=overrides or [])
    classes, steps = classes_in(state, path=path), steps_in(state, path=path)
    plan = plan_network(loaded, num_classes=len(classes))
    net = make_network(plan, seed=0)
    _put_weights(net, state, path)
    train = state.get("train")
    epoch = train.get("epoch") if isinstance(train, dict) else None
    return Trained(
        net=net.eval().requires_grad_(False),
        classes=classes,
        eval_steps=steps,
        pipeline=build_eval_pipeline(steps),
        in_shape=(plan.body.in_shape[0], *image_sizes(loaded)["eval"]),
        loaded=loaded,
        path=path,
        epoch=epoch if isinstance(epoch, int) else 0,
        is_best=isinstance(train, dict) and epoch is not None and train.get("best_epoch") == epoch,
    )


def plan_of_run(path: Path) -> tuple[Loaded, Plan]:
    """The run file of a run or a checkpoint, and the plan of its network; no data are read.

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
        classes = classes_in(state, path=found.given)
        return loaded, plan_network(loaded, num_classes=len(classes))
    assert found.run is not None
    if not (found.run.config.is_file() and found.run.classes.is_file()):
        raise CheckpointError(
            f"{found.run.path} lacks config.yaml or classes.txt", remedy="give a checkpoint file"
        )
    loaded = load_run_file(found.run.config, [])
    names = found.run.classes.read_text(encoding="utf-8").splitlines()
    return loaded, plan_network(loaded, num_classes=len(names))


def network_of(prepared: Prepared, state: State) -> nn.Module:
    """A copy of the learner's network with the weights of another of its own states."""
    net = copy.deepcopy(prepared.learner.model)
    _put_weights(net, state, Path("the state"))
    return net


def _put_weights(net: nn.Module, state: State, path: Path) -> None:
    """The averaged weights where there are some, as in the evaluations of the run itself."""
    what, weights = weights_in(state, path=path)
    remedy = f"{path} does not fit its own architecture: was a plugin changed since?"
    load_weights(net, weights, what, remedy=remedy)
