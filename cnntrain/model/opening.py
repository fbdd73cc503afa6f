"""The one way to open a trained network: by its run, its checkpoint, or a run file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cnntrain.arch.plan import Plan
from cnntrain.assemble.networks import make_network, plan_network
from cnntrain.assemble.prepare import put_weights
from cnntrain.assemble.transfer.preprocessing import follow_weights, lacks_numbers, plain_steps
from cnntrain.assemble.transfer.sources import Source, read_source
from cnntrain.assemble.transfer.start_from import start_from
from cnntrain.assemble.translation import apply_threads, data_errors, only_these
from cnntrain.checkpoint import State
from cnntrain.config import shipped
from cnntrain.config.from_python import Changes, as_overrides
from cnntrain.config.load import load as load_run_file
from cnntrain.config.loaded import Loaded
from cnntrain.config.named_plugins import Naming
from cnntrain.config.task_section import KEEP_LAST
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.data.metadata import facts
from cnntrain.data.read import open_splits
from cnntrain.model.model import Model, make_model
from cnntrain.runs.asked_plugins import load_config
from cnntrain.runs.contents import (
    classes_in,
    contents_to_evaluate,
    epoch_in,
    known_steps_in,
    open_checkpoint,
    read_run_file,
    temperature_in,
)
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.kept_run_file import kept_in
from cnntrain.runs.kept_targets import targets_of_weights
from cnntrain.runs.locate import find_run, has_run, run_file_at
from cnntrain.runs.records import read_classes
from cnntrain.train import undisturbed
from cnntrain.train.finite import refuse_weights_not_finite


@dataclass(frozen=True)
class Use:
    """What a network is opened for.

    Args:
        words: such as "a checkpoint is evaluated".
        changeable: the keys that `-s` may change of a run, whose network is as it was trained;
            None: all, as always of a run file.
        of_any_file: whether a run file without weights could have been meant, too.
        refuses_not_finite: whether weights that are not finite are refused.
    """

    words: str
    changeable: tuple[str, ...] | None
    of_any_file: bool = False
    refuses_not_finite: bool = True


EVALUATE = Use(
    "a checkpoint is evaluated", ("data", "compute.device", "compute.threads", "plugins")
)
"""Where things are and how images are read may change, not how they are prepared."""
PREDICT = Use("predictions are made", ("data.bits", "compute.device", "compute.threads", "plugins"))
EXPORT = Use("a network is exported", ("compute.threads", "plugins"))
EXPORT_WITH_IMAGES = replace(EXPORT, changeable=("data", "compute.threads", "plugins"))


def open_model(
    path: str | Path,
    *,
    overrides: Sequence[str] = (),
    plugins: Sequence[Path] = (),
    use: Use = EVALUATE,
) -> Model:
    """Open a trained network: on its device, with the threads that its run file asks for.

    The threads are those of the process from then on (`cnntrain.train.undisturbed` puts them back).
    A run file's network gets all of its weights from `finetune.weights`, the head included; its
    images are prepared as `data.transforms.eval` says, or as they were for those weights.

    Args:
        path: a run's folder, `runs/NAME` for its latest, a checkpoint file, or a run file (or the
            name of a shipped one) that names weights.
        overrides: changes of single values, such as `compute.device=cpu`.
        plugins: files that the user names, so that they may run.
        use: what may be changed.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network; or a run asks for a
            plugin that the user has never named.
        ConfigError: the run file names none, or does not say how images are normalised; or the
            device is not there.
        UsageError: nothing is there, or a change is not allowed.
        DivergedError: a weight is not finite; it names the first layer.
    """
    path = Path(path)
    file = run_file_at(path)
    if file is None:
        _refuse_changes(overrides, use)
        others = shipped.names() if use.of_any_file else shipped.with_weights()
        found = find_run(path, others=others)
        weights = contents_to_evaluate(found)
        model = model_from(
            weights.state, path=weights.path, overrides=overrides, run=found.run, plugins=plugins
        )
        model = replace(model, loaded=_noted(model.loaded, weights.notes))
    else:
        loaded = load_run_file(file, overrides, plugins=Naming.by_user(plugins))
        model = _open_run_file(path, loaded)
    apply_threads(model.loaded.config.compute)
    if use.refuses_not_finite:
        refuse_weights_not_finite(model.net, of=str(model.path))
    return model


def load(
    run: str | os.PathLike[str],
    *,
    overrides: Changes = (),
    plugins: Sequence[str | os.PathLike[str]] = (),
) -> Model:
    """A trained network with its classes and its preprocessing, on its device.

    It has `predict`, `evaluate`, `features` and `logits`; `net` is the `nn.Module`.

    Args:
        run: a run's folder, `runs/NAME` for its latest, a checkpoint file, or a run file (or the
            name of a shipped one) that names weights.
        overrides: changes of single values, such as `{"compute.device": "cpu"}`.
        plugins: files with code that may run, because you trust it; needed for a run of another
            person's that asks for them, and for files that are in another place now.

    Raises:
        CheckpointError: the weights are missing, damaged or of another network; or a run asks for a
            plugin that the user has never named.
        ConfigError: the run file names none, or the device is not there.
        UsageError: nothing is there, or a change is not allowed.
        DivergedError: a weight is not finite; it names the first layer.
    """
    with undisturbed():
        files = [Path(file) for file in plugins]
        return open_model(os.fspath(run), overrides=as_overrides(overrides), plugins=files)


def _noted(loaded: Loaded, notes: Sequence[str]) -> Loaded:
    return replace(loaded, notes=(*notes, *loaded.notes))


def _refuse_changes(overrides: Sequence[str], use: Use) -> None:
    if use.changeable is None:
        return
    only_these(list(overrides), allowed=use.changeable, doing=use.words)
    if any(text.startswith("data.transforms") for text in overrides):
        raise UsageError(
            f"-s data.transforms cannot change when {use.words}",
            remedy="images are prepared as the checkpoint says; for others train a new run",
        )


def model_from(
    state: State,
    *,
    path: Path,
    overrides: Sequence[str] = (),
    run: RunFolder | None = None,
    plugins: Sequence[Path] = (),
) -> Model:
    """The model that a checkpoint's contents are of; for the arguments see `read_run_file`.

    Raises:
        CheckpointError: they are damaged, or not those of a run's checkpoint.
    """
    loaded = read_run_file(state, path=path, overrides=overrides, run=run, plugins=plugins)
    classes, steps = classes_in(state, path=path), known_steps_in(state, path=path)
    with kept_in(path, overrides):
        plan = plan_network(loaded, num_classes=len(classes))
        net = make_network(plan, seed=0)
    put_weights(net, state, path)
    (epoch, is_best), train = epoch_in(state), loaded.config.train
    model = make_model(
        net,
        plan=plan,
        loaded=loaded,
        classes=classes,
        eval_steps=steps,
        path=path,
        epoch=epoch,
        is_best=is_best and (train is None or train.select != KEEP_LAST),
        targets=targets_of_weights(state, path=path),
    )
    return replace(model, temperature=temperature_in(state))


def _open_run_file(path: Path, loaded: Loaded) -> Model:
    loaded = follow_weights(loaded)
    if loaded.config.finetune is None:
        trained = Path(loaded.config.record.root, loaded.config.name)
        remedy = "give a run's folder, or name weights in the file (finetune.weights)"
        remedy = f"did you mean '{trained}'?" if has_run(trained) else remedy
        raise UsageError(f"{path} is a run file without weights", remedy=remedy)
    if lacks_numbers(loaded):
        message = "the normalisation used for these weights is unknown"
        remedy = "give the numbers: `normalize: {mean: [...], std: [...]}`"
        raise loaded.error(("data", "transforms", "eval"), message, remedy)
    source = read_source(loaded)
    _refuse_unknown_scale(loaded, source)
    classes = _class_names(loaded, source)
    plan = plan_network(loaded, num_classes=len(classes))
    net = make_network(plan, seed=0)
    start = start_from(source, net, loaded=loaded, plan=plan, classes=classes, whole=True)
    read = [f"{start.source}: read {start.read}"] if start.read else []
    loaded = _noted(loaded, [*source.notes, *read])
    return make_model(
        net,
        plan=plan,
        loaded=loaded,
        classes=classes,
        eval_steps=plain_steps(loaded),
        path=source.path,
        epoch=source.epoch,
        targets=source.targets,
    )


def _refuse_unknown_scale(loaded: Loaded, source: Source) -> None:
    task = loaded.config.task
    is_known = source.targets is not None and source.targets.form == task.form
    if task.form == "numbers" and task.parameters.get("normalize") and not is_known:
        message = f"the mean and deviation of the numbers that {source.name} learnt are unknown"
        remedy = "give a run or an exported file, or set normalize: false"
        raise loaded.error(("task", "name"), message, remedy)
    if task.heads and not is_known:
        message = f"what the heads of {source.name} learnt is unknown"
        raise loaded.error(("task", "name"), message, "give a run or an exported file")


def _class_names(loaded: Loaded, source: Source) -> tuple[str, ...]:
    """A run's own; else the data's if their names are known without reading; else the source's."""
    assert loaded.config.finetune is not None
    data, is_run = loaded.config.data, loaded.config.finetune.weights.run is not None
    names = None if is_run else facts(data.name, data.parameters).class_names
    names = names or source.classes
    if names is None:
        with data_errors(loaded):
            splits = open_splits(data.name, parameters=data.parameters)
        names = splits.classes
    return names


def plan_of_run(path: Path, *, plugins: Sequence[Path] = ()) -> tuple[Loaded, Plan]:
    """The run file of a run or a checkpoint, and the plan of its network; no data are read.

    Args:
        path: a run's folder, `runs/NAME` for its latest, or a checkpoint file.
        plugins: files that the user names, so that they may run.

    Raises:
        UsageError: nothing is there.
        CheckpointError: what is there is not a run, and not a checkpoint of one, or asks for a
            plugin that the user has never named.
    """
    found = find_run(path)
    if found.given is not None:
        opened = open_checkpoint(found.given, run=found.run)
        loaded = read_run_file(opened.state, path=found.given, run=found.run, plugins=plugins)
        classes = classes_in(opened.state, path=found.given)
        with kept_in(found.given):
            return _noted(loaded, opened.notes), plan_network(loaded, num_classes=len(classes))
    assert found.run is not None
    if not (found.run.config.is_file() and found.run.classes.is_file()):
        raise CheckpointError(
            f"{found.run.path} lacks config.yaml or classes.txt", remedy="give a checkpoint file"
        )
    loaded = _noted(load_config(found.run, plugins=plugins), [found.note] if found.note else [])
    with kept_in(found.run.config):
        return loaded, plan_network(loaded, num_classes=len(read_classes(found.run)))
