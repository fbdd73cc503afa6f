"""What a run file could have in place of something unusual that it has: one thing at a time.

Each substitute is the usual value of a setting, or the network without a layer or with the usual
one in its place: what most run files have. Whether it helps is found by training with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cnntrain
from cnntrain.arch.expand import Node
from cnntrain.arch.plan import Plan, PlannedNode
from cnntrain.assemble.arch_edits import (
    Overrides,
    all_replaced,
    in_run_file,
    overriding,
    with_parameter,
    without_items,
)
from cnntrain.config.loaded import ARCH_AT, TRANSFORMS_AT, Loaded
from cnntrain.config.resolved import in_line, resolved_tree
from cnntrain.config.train_section import TrainSection
from cnntrain.core.choices import LOSSES, OPTIMIZERS, SCHEDULES
from cnntrain.core.document import KeyPath
from cnntrain.core.entry import Entry
from cnntrain.data import TRANSFORMS
from cnntrain.diagnose.usual_layers import usual_in_place
from cnntrain.diagnose.variants import name_of
from cnntrain.show.words import listed

SETTING, LAYER = "harmful_setting", "harmful_layer"

OF_TRAIN = ("accumulate", "l1", "penalties", "clip_norm", "freeze", "lr_scaling",
            "evaluate_views")  # fmt: skip
"""Keys of `train` that change the first steps and have a usual value; those of `optimizer`, `loss`
and `schedule` come on top."""

KNOWN_AS: Mapping[str, str] = {
    "weight_decay": "too_much_decay",
    "l1": "too_much_l1",
    "penalties": "too_much_penalty",
    "clip_norm": "clipped_to_nothing",
    "label_smoothing": "too_much_smoothing",
}
"""Settings whose harm has a name of its own."""

HIDING: Mapping[str, str] = {"drop": "too_much_dropout", "stochastic": "too_much_dropout"}
"""The same of layers, by what their kind is called."""

USUAL_ACTIVATION = "relu"

REMEDY, DOUBTED, LAST = 1, -1, -2
"""Weights of a remedy, of one that is doubted, and of the usual optimizer in place of another of
cnntrain's; of all else 0."""

USUAL_OPTIMIZER = {"name": "adam", "lr": 0.001}
"""It learns at this rate in nearly every network (Kingma and Ba 2015, algorithm 1)."""

USUAL_SCHEDULES = ("cosine", "constant")
"""A constant rate always looks worse in a miniature, in which nothing else ends as high."""

SAME_WHATEVER = ("out", "kernel", "stride", "padding")
"""Parameters that say what a layer is: there is no usual value."""

SMALL_BATCH, USUAL_BATCH = 8, 32
"""Images of a batch that is a small one, and of a usual one."""

NARROW, WIDER = range(1, 5), 16
"""Maps or units of a layer that is narrow, and how many to try."""


@dataclass(frozen=True)
class Substitute:
    """One change.

    Args:
        subject: what is replaced, as it stands in the run file.
        instead: what then takes its place, in words.
        fault: its code, if training is much better with the change.
        overrides: that make it.
        layers: names of the layers that are replaced.
        is_remedy: of what another check is certain of.
        is_last: to be tried only where nothing else is found.
        weight: of equals the one with the largest is accused: see `REMEDY`.
    """

    subject: str
    instead: str
    fault: str
    overrides: Overrides
    layers: tuple[str, ...] = ()
    is_remedy: bool = False
    is_last: bool = False
    weight: int = 0

    @property
    def what(self) -> str:
        """In words."""
        return f"{self.instead} {self.subject}"

    @property
    def rank(self) -> tuple[int, int]:
        """What is preferred of equals: by its weight, then what is inside of more lists; -1 is a
        setting."""
        return self.weight, max((name.count(".") for name in self.layers), default=-1)


def transforms_for(loaded: Loaded) -> Iterator[Substitute]:
    """Without one of the transforms that prepare every image, or as usual, in both lists."""
    tree = resolved_tree(loaded.config)["data"]["transforms"]
    names = dict.fromkeys(name_of(step) for step in tree["eval"])
    for name in names:
        options = TRANSFORMS.entry(name).options
        if options.get("random") or options.get("mixes"):
            continue
        usual = [name] if name == "normalize" else []
        both = []
        for split, steps in tree.items():
            changed = [
                each for step in steps for each in (usual if name_of(step) == name else [step])
            ]
            both.append(overriding((*TRANSFORMS_AT, split), changed))
        present = [step for step in tree["eval"] if name_of(step) == name]
        if usual and not any(_has_numbers(step) for step in present):
            continue
        written = ", ".join(map(in_line, present))
        instead = "with normalize (as usual) in place of" if usual else "without"
        yield Substitute(f"`{written}`", instead, SETTING, tuple(both))


def _has_numbers(step: Any) -> bool:
    return not isinstance(step, str) and any(next(iter(step.values())).values())


def substitutes_for(loaded: Loaded, plan: Plan) -> Iterator[Substitute]:
    """All that a run file allows, layers first; not each of them is one without mistakes."""
    last = next((name for name, node in reversed(list(plan.walk())) if node.parameters), "")
    for nodes in _kinds(plan):
        yield from _of_layers(nodes)
        yield from _of_plugin(nodes)
        if hidden := {name: each for name, each in nodes.items() if name != last}:
            yield from _of_parameters(hidden)
    yield from _of_detours(plan.body.nodes)
    tree = resolved_tree(loaded.config)
    arch = tree["arch"] if isinstance(tree["arch"], Mapping) else {}
    if arch.get("init"):
        path = (*ARCH_AT, "init")
        yield _setting(path, arch["init"], [{"weight": "kaiming", "bias": 0}])
    yield from _of_training(tree["train"])
    if isinstance(size := tree["data"]["batch_size"], int) and size < SMALL_BATCH:
        yield _setting(("data", "batch_size"), size, USUAL_BATCH)
    optimizer = tree["train"]["optimizer"]
    if optimizer["name"] != USUAL_OPTIMIZER["name"]:
        weight = LAST if _is_ours(OPTIMIZERS.entry(optimizer["name"])) else 0
        found = _setting(("train", "optimizer"), optimizer, USUAL_OPTIMIZER)
        yield replace(found, is_last=True, weight=weight)
    if tree["compute"]["precision"] not in ("auto", "float32"):
        yield _setting(("compute", "precision"), tree["compute"]["precision"], "float32")


def _kinds(plan: Plan) -> list[dict[str, PlannedNode]]:
    """Layers of the run file by name, those of a kind together."""
    groups: dict[str, dict[str, PlannedNode]] = {}
    for name, node in plan.walk():
        if in_run_file(node.node) and node.node.entry is not None:
            groups.setdefault(node.node.operation, {})[name] = node
    return list(groups.values())


def _items(nodes: Mapping[str, PlannedNode]) -> list[Node]:
    """What stands in the run file: one item for all copies of a block."""
    return list({each.node.path: each.node for each in nodes.values()}.values())


def _of_layers(nodes: Mapping[str, PlannedNode]) -> Iterator[Substitute]:
    """All layers of a kind left out, or with the usual activation in their place."""
    first = next(iter(nodes.values()))
    entry = first.node.entry
    assert entry is not None
    is_same = all(each.in_shapes == (each.out_shape,) for each in nodes.values())
    if not is_same or entry.name in (USUAL_ACTIVATION, "conv", "linear"):
        return
    is_activation = not first.parameters and not first.nested and not entry.options.get("affine")
    if is_activation:
        changed = all_replaced(_items(nodes), USUAL_ACTIVATION)
        yield _in_layers(nodes, f"with {USUAL_ACTIVATION} in place of", changed)
    yield _in_layers(nodes, "without", without_items(_items(nodes)))


def _of_plugin(nodes: Mapping[str, PlannedNode]) -> Iterator[Substitute]:
    first = next(iter(nodes.values()))
    if first.node.entry is not None and not _is_ours(first.node.entry):
        for instead, changed in usual_in_place(list(nodes.values())):
            yield _in_layers(nodes, instead, changed)


def _of_detours(nodes: Sequence[PlannedNode]) -> Iterator[Substitute]:
    """Neighbours without weights that change the shape, and change it back."""
    for length in (2, 3):
        for start in range(len(nodes) - length + 1):
            found = nodes[start : start + length]
            first, last = found[0], found[-1]
            is_plain = not any(each.parameters or each.nested for each in found)
            if first.in_shapes == (last.out_shape,) != (first.out_shape,) and is_plain:
                names = {each.name: each for each in found}
                yield _in_layers(names, "without", without_items(_items(names)))


def _in_layers(nodes: Mapping[str, PlannedNode], instead: str, overrides: Overrides) -> Substitute:
    subject = listed([f"'{name}'" for name in nodes])
    operation = next(iter(nodes.values())).node.operation
    fault = next((code for word, code in HIDING.items() if word in operation), LAYER)
    return Substitute(subject, instead, fault, overrides, tuple(nodes))


def _of_parameters(nodes: Mapping[str, PlannedNode]) -> Iterator[Substitute]:
    """Layers of a kind with the usual value of a parameter, or with more maps or units."""
    entry = next(iter(nodes.values())).node.entry
    assert entry is not None
    for parameter in entry.parameters:
        usual = parameter.default
        if parameter.required or parameter.name in SAME_WHATEVER:
            continue
        odd = {
            name: each
            for name, each in nodes.items()
            if each.node.keywords.get(parameter.name, usual) != usual
        }
        if odd:
            changed = _each(_items(odd), parameter.name, usual)
            yield _in_layers(
                odd, f"with {parameter.name} of {in_line(usual)} (as usual) in", changed
            )
    narrow = {name: each for name, each in nodes.items() if each.node.keywords.get("out") in NARROW}
    if narrow:
        yield _in_layers(narrow, f"with {WIDER} outputs of", _each(_items(narrow), "out", WIDER))


def _each(nodes: Sequence[Node], key: str, value: Any) -> Overrides:
    return tuple(dict.fromkeys(each for node in nodes for each in with_parameter(node, key, value)))


def _of_training(train: Mapping[str, Any]) -> Iterator[Substitute]:
    fields = TrainSection.model_fields
    for key in OF_TRAIN:
        usual = fields[key].get_default(call_default_factory=True)
        usual = list(usual) if isinstance(usual, tuple) else usual
        if train[key] != usual:
            yield _setting(("train", key), train[key], usual)
    for key, catalogue in (("optimizer", OPTIMIZERS), ("loss", LOSSES), ("schedule", SCHEDULES)):
        section = train[key]
        yield from _of_call(key, section, catalogue.entry(section["name"]))
    if train["optimizer"]["groups"]:
        yield _setting(("train", "optimizer", "groups"), train["optimizer"]["groups"], [])
    if train["loss"]["name"] != "cross_entropy":
        yield _setting(("train", "loss"), train["loss"], {"name": "cross_entropy"})
    if train["schedule"]["name"] not in USUAL_SCHEDULES:
        yield _setting(("train", "schedule"), train["schedule"], {"name": "cosine"})


def _is_ours(entry: Entry) -> bool:
    """Whether it is no plugin's."""
    return entry.file.is_relative_to(Path(cnntrain.__file__).parent)


def _of_call(key: str, section: Mapping[str, Any], entry: Entry) -> Iterator[Substitute]:
    for name, value in section.items():
        parameter = entry.parameter(name)
        if parameter is None or parameter.required or parameter.default == _plain(value):
            continue
        yield _setting(("train", key, name), value, parameter.default)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _setting(path: KeyPath, value: Any, usual: Any) -> Substitute:
    usual = list(usual) if isinstance(usual, tuple) else usual
    written = ".".join(map(str, path))
    has_usual = usual not in (None, {}, [])
    return Substitute(
        f"`{written}: {in_line(value)}`",
        f"with {in_line(usual)} (as usual) in place of" if has_usual else "without",
        KNOWN_AS.get(str(path[-1]), SETTING),
        (overriding(path, usual),),
    )
