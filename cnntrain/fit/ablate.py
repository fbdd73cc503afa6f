"""Ablation: the same network without some of its layers, counted and trained the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cnntrain.arch.ablation import (
    Ablated,
    pruned,
    rules_in_use,
    variables_in_use,
    without,
)
from cnntrain.arch.description import Facts, describe, is_architecture, usual_facts
from cnntrain.arch.plan import Plan
from cnntrain.arch.planner import make_plan
from cnntrain.assemble.make_parts import make_task
from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.transfer.preprocessing import follow_weights
from cnntrain.config.load import load, load_text
from cnntrain.config.loaded import Loaded
from cnntrain.config.open_numbers import refuse_open
from cnntrain.config.pretrain_rules import refuse_pretraining
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.core.complaints import value_at
from cnntrain.core.document import Document, KeyPath, parse_document, read_document
from cnntrain.core.errors import UsageError
from cnntrain.data import left_out
from cnntrain.fit.fit import fit
from cnntrain.fit.restart import fit_or_resume
from cnntrain.model.images import every_split
from cnntrain.runs.environment import describe_environment
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.locate import find_run, has_run
from cnntrain.runs.records import read_json, read_results, read_text
from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.tasks.protocol import Task


@dataclass(frozen=True)
class Variant:
    """One network of an ablation, and what its training came to.

    `left_out` are the names that were given, none for the whole network; `removed` all layers that
    went. `value` is that of the task's first figure, such as the error, on the test set, else after
    the best epoch on validation, as `split` says; None where there is neither, or nothing trained.
    """

    left_out: tuple[str, ...]
    removed: tuple[str, ...]
    parameters: int
    multiply_adds: int
    value: float | None = None
    split: str = ""
    run: Path | None = None


@dataclass(frozen=True)
class Ablation:
    """The networks, the whole one first; the exit code is that of a training that was stopped."""

    variants: tuple[Variant, ...]
    exit_code: int = 0
    task: Task = CLASSIFICATION


def ablate(
    file: Path,
    sets: Sequence[tuple[str, ...]],
    *,
    train: bool,
    again: bool = False,
    overrides: Sequence[str] = (),
    tell: Callable[[str], None] = lambda _: None,
) -> Ablation:
    """The whole network, then without each set of layers; all are planned before one is trained.

    So that an ablation that was interrupted can be called again, a network whose newest run is this
    very training, done, is not trained again.

    Args:
        file: a run file, or an architecture file if nothing is trained.
        sets: names of layers.
        train: train each as the run file says, in runs of their own, `NAME-whole` and
            `NAME-without-LAYERS`.
        again: train it all the same.
        overrides: of the run file.
        tell: called with what is being done.

    Raises:
        UsageError: a layer is not there, or an architecture file is to be trained.
        ConfigError: what is left does not fit together.
    """
    document = read_document(file)
    if is_architecture(document.data):
        if train or overrides:
            raise UsageError(
                f"{file} is an architecture: it has no data to train on and nothing to set",
                remedy="give a run file, or only count with --no-train",
            )
        return Ablation(tuple(_of_architecture(file, document, names) for names in ((), *sets)))
    loaded = load(file, list(overrides))
    usual = loaded.config.name
    overrides = [*overrides, f"name={usual}-whole"]
    whole = load(file, overrides)
    planned = [(_counted(plan_network(whole)), whole)]
    planned += [_of_run_file(loaded, names) for names in sets]
    if not train:
        return Ablation(tuple(variant for variant, _ in planned))
    refuse_open(whole.config, doing="an ablation")
    refuse_pretraining(whole, doing="an ablation")
    left_out.tell(every_split(whole).left_out)  # the trainings are quiet
    done: list[Variant] = []
    task = make_task(whole)
    figure = task.headline[0]
    finished = partial(_finished, figure=figure)
    for variant, each in planned:
        places = (each.config.name, *(() if variant.left_out else (usual,)))
        found = (None if again else finished(each, variant, name=name) for name in places)
        before = next(filter(None, found), None)
        if before is not None:
            tell(f"{each.config.name}: taken from {before.run}, finished; --again retrains it")
            done.append(before)
            continue
        tell(f"training {each.config.name}: {variant.parameters:,} parameters")
        begin = fit_or_resume if each.config.record.resume == "auto" and not again else fit
        outcome = begin(each, overrides=[] if variant.left_out else overrides, quiet=True)
        if outcome.exit_code:
            return Ablation(tuple(done), outcome.exit_code, task)
        done.append(_trained(variant, outcome.run, figure))
    return Ablation(tuple(done), task=task)


def _trained(variant: Variant, run: RunFolder, figure: str) -> Variant:
    """With a figure of the test, or without test images of the best epoch in validation."""
    results = read_results(run)
    found = results.test or results.best
    if found is None:
        return replace(variant, run=run.path)
    value = results.number(found, figure)
    return replace(variant, value=value, split=found["split"], run=run.path)


def _finished(loaded: Loaded, variant: Variant, *, name: str, figure: str) -> Variant | None:
    """The newest run of a name, if it did all that the run file says, with the same software.

    The images are taken to be the same. Plugins are not: whether they changed is unknown.
    """
    config = follow_weights(loaded).config
    place = Path(config.record.root, name)
    run = find_run(place, newest=True).run if has_run(place) else None
    if run is None or config.plugins or not (run.summary.exists() and run.last.is_file()):
        return None
    if read_json(run.summary).get("reason", "stopped") == "stopped":
        return None
    environment = read_json(run.environment)
    now = describe_environment()
    wanted = dump_yaml({**resolved_tree(config), "name": name})
    is_same = _without_comments(read_text(run.config)) == _without_comments(wanted) and all(
        environment.get(key) == now[key] for key in ("cnntrain", "torch", "git")
    )
    return _trained(variant, run, figure) if is_same else None


def _without_comments(text: str) -> list[str]:
    """Its lines; at the end of a run's config.yaml a comment says what `auto` came to."""
    return [line for line in text.strip().splitlines() if not line.startswith("#")]


def _counted(plan: Plan, names: tuple[str, ...] = (), removed: tuple[str, ...] = ()) -> Variant:
    return Variant(names, removed, plan.parameters, plan.multiply_adds)


def _of_architecture(file: Path, document: Document, names: tuple[str, ...]) -> Variant:
    facts = usual_facts(document)
    if not names:
        return _counted(make_plan(describe(document, facts=facts)))
    ablated, plan = _left(document, (), facts=facts, variables={}, names=names, called=str(file))
    return _counted(plan, names, ablated.removed)


def _of_run_file(loaded: Loaded, names: tuple[str, ...]) -> tuple[Variant, Loaded]:
    config, facts, file = loaded.config, plan_network(loaded).description.facts, str(loaded.file)
    left, _ = _left(
        loaded.document,
        ("arch",),
        facts=facts,
        variables=config.vars,
        names=names,
        called=file,
        task=make_task(loaded),
    )
    tree = resolved_tree(config)
    tree["name"] = f"{config.name}-without-{'-'.join(names)}"
    tree["vars"] = variables_in_use(config.vars, left.section)
    tree["arch"] = left.section
    changed = load_text(dump_yaml(tree), file=Path(_called(file, names)))
    return _counted(plan_network(changed), names, left.removed), changed


def _left(
    document: Document,
    root: KeyPath,
    *,
    facts: Facts,
    variables: Mapping[str, Any],
    names: tuple[str, ...],
    called: str,
    task: Task = CLASSIFICATION,
) -> tuple[Ablated, Plan]:
    """What is left of an architecture, and its plan."""
    nodes = describe(document, root=root, facts=facts, variables=variables).nodes
    found = without(value_at(document.data, root), nodes, names)
    bare = pruned({key: value for key, value in found.section.items() if key != "init"})
    text = parse_document(dump_yaml(bare), name=_called(called, names))
    description = describe(text, facts=facts, variables=variables_in_use(variables, bare))
    plan = make_plan(description, task=task)
    return replace(found, section=rules_in_use(found.section, plan)), plan


def _called(file: str, names: Sequence[str]) -> str:
    return f"{file} without {', '.join(names)}"
