"""Remedies that are edits of the architecture, and of how its weights start."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cnntrain.arch.expand import Node
from cnntrain.arch.plan import PlannedNode
from cnntrain.assemble.arch_edits import (
    each_replaced,
    in_run_file,
    overriding,
    replaced,
    with_item_behind,
    with_parameter,
    without_item,
    without_items,
)
from cnntrain.config.loaded import ARCH_AT
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.setup import Patient
from cnntrain.layers import LAYERS
from cnntrain.show.words import listed

Mended = tuple[str, tuple[str, ...]]
"""What is done, in words (none: as the finding says), and as overrides."""

NOTHING: Mended = ("", ())

Find = Callable[[Patient, Finding], Mended]

KAIMING: list[Any] = [{"weight": "kaiming", "bias": 0}]
XAVIER: list[Any] = [{"weight": "xavier", "bias": 0}]
SMALL: Any = {"weight": {"normal": {"std": 0.01}}, "bias": 0}

KEPT = 0.2
"""The share that dropout may hide."""

USUAL_MOMENTUM = 0.1
"""Of batch normalisation."""

SQUASHING = ("sigmoid", "tanh", "hard_sigmoid", "scaled_tanh")

STANDS_FOR = {
    "norm": "batch_norm",
    "drop": "dropout",
    "conv": "conv",
    "linear": "linear",
    "dense": "linear",
    "relu": "relu",
    "tanh": "tanh",
    "sigmoid": "sigmoid",
    "gelu": "gelu",
}
"""A word in the name of a layer of one's own -> the registered layer that does its work."""


def _planned(patient: Patient) -> dict[str, PlannedNode]:
    return dict(patient.prepared.plan.walk())


def _nodes(patient: Patient) -> list[Node]:
    return [each.node for each in _planned(patient).values()]


def _blamed(patient: Patient, finding: Finding) -> dict[str, PlannedNode]:
    """The layers of a finding; a module inside a layer stands for that layer."""
    planned, found = _planned(patient), {}
    for name in finding.layers:
        while name and name not in planned:
            name = name.rpartition(".")[0]
        if name:
            found[name] = planned[name]
    return found


def layers_of_others(patient: Patient, finding: Finding) -> Mended:
    """A registered layer in place of one whose code is wrong; where there is none, without it."""
    exchanged: list[tuple[Node, str, Mapping[str, Any]]] = []
    left_out: list[Node] = []
    names: dict[str, list[str]] = {}
    for name, each in _blamed(patient, finding).items():
        operation = each.node.operation
        ours = next((it for word, it in STANDS_FOR.items() if word in operation), None)
        if ours is None or ours == operation:
            left_out.append(each.node)
            what = "train without"
        else:
            known = {parameter.name: parameter for parameter in LAYERS.entry(ours).parameters}
            kept = {key: value for key, value in each.node.keywords.items() if key in known}
            kept |= {"out": each.out_shape[0]} if "out" in known else {}
            exchanged.append((each.node, ours, kept))
            what = f"use {ours} in place of"
        names.setdefault(what, []).append(f"'{name}'")
    words = " and ".join(f"{what} {listed(those)}" for what, those in names.items())
    if exchanged and left_out:  # in one list both cannot be changed one after the other
        found = each_replaced([*exchanged, *((node, "identity", {}) for node in left_out)])
    else:
        found = tuple(dict.fromkeys(word for each in exchanged for word in replaced(*each)))
        found = found or without_items(left_out)
    return f"{finding.remedy}; until then {words}", found


def without_blamed(patient: Patient, finding: Finding) -> Mended:
    """The network without the layers that are to blame."""
    nodes = _blamed(patient, finding)
    names = listed([f"'{name}'" for name in nodes])
    return f"train without {names}", without_items(node.node for node in nodes.values())


def without_last(patient: Patient, _: Finding) -> Mended:
    """The network without a last layer that has nothing to learn."""
    last = patient.prepared.plan.body.nodes[-1]
    return NOTHING if last.parameters else ("", without_item(last.node))


def usual_momentum(patient: Patient, _: Finding) -> Mended:
    """The running statistics of all batch normalisations with the usual momentum; where they have
    it, measured again at the end."""
    nodes = {
        node.path: node
        for node in _nodes(patient)
        if node.operation == "batch_norm"
        and node.keywords["momentum"] not in (None, USUAL_MOMENTUM)
    }
    found = tuple(
        each for node in nodes.values() for each in with_parameter(node, "momentum", USUAL_MOMENTUM)
    )
    if found:
        return "", found
    return "measure the running statistics again at the end", ("train.recalibrate=true",)


def less_dropout(patient: Patient, _: Finding) -> Mended:
    """Dropout that hides a fifth at the most."""

    def each() -> Iterator[str]:
        for node in _nodes(patient):
            if "drop" in node.operation and node.keywords.get("p", 0) > KEPT:
                yield from with_parameter(node, "p", KEPT)

    return f"lower `p` of the dropout layers to {KEPT}", tuple(dict.fromkeys(each()))


def normalised_maps(patient: Patient, _: Finding) -> Mended:
    """Batch normalisation behind convolutions, or where there are none behind linear layers."""
    nodes = _nodes(patient)
    behind: dict[str, list[Node]] = {"conv": [], "linear": []}
    for node, then in zip(nodes, [*nodes[1:], None], strict=True):
        if node.operation in behind and not (then and then.operation.endswith("norm")):
            behind[node.operation].append(node)
    has_convolutions = any(node.operation == "conv" for node in nodes)
    what, chosen = ("each convolution", behind["conv"])
    if not has_convolutions:
        what, chosen = "each linear layer but the last one", behind["linear"][:-1]
    return f"put batch_norm behind {what}", with_item_behind(chosen, "batch_norm")


def _init(patient: Patient) -> Any:
    """How the weights start, as the run file says; None where it holds no architecture."""
    node = next((node for node in _nodes(patient) if in_run_file(node)), None)
    if node is None:
        return None
    arch = node.reader.value(ARCH_AT)
    return arch.get("init", []) if isinstance(arch, Mapping) else None


def started(wanted: list[Any], what: str) -> Find:
    """Start the weights so; where they already do, normalise behind the convolutions."""

    def find(patient: Patient, finding: Finding) -> Mended:
        present = _init(patient)
        if present is not None and present != wanted:
            return f"start from {what}", (overriding((*ARCH_AT, "init"), wanted),)
        return normalised_maps(patient, finding)

    return find


kaiming = started(KAIMING, "weights that keep the deviation (He et al. 2015)")
xavier = started(XAVIER, "weights for units with two ends (Glorot and Bengio 2010)")


def kept_alive(patient: Patient, finding: Finding) -> Mended:
    """Usual weights where the run file has others of its own; else rectifiers in place of what
    squashes, with weights for them, and normalisation behind convolutions."""
    present = _init(patient)
    squashing = [node for node in _nodes(patient) if node.operation in SQUASHING]
    if present and present not in (KAIMING, XAVIER):
        return (xavier if squashing else kaiming)(patient, finding)
    remedy, overrides = normalised_maps(patient, finding)
    has_convolutions = any(node.operation == "conv" for node in _nodes(patient))
    if overrides and has_convolutions:
        return remedy, overrides
    if overrides and squashing:
        linear = [node for node in _nodes(patient) if node.operation == "linear"][:-1]
        rectified = dict.fromkeys(SQUASHING, "relu")
        changed = with_item_behind(linear, "batch_norm", instead=rectified)
        remedy = "use relu in place of what squashes, and put batch_norm before it"
        return remedy, (*changed, *kaiming(patient, finding)[1])
    return remedy, overrides


def small_outputs(patient: Patient, finding: Finding) -> Mended:
    """A last layer that starts near 0; weights of one's own give way to usual ones first."""
    present = _init(patient)
    if present not in (None, [], KAIMING):
        return kaiming(patient, finding)
    if present is None:
        return NOTHING
    learnt = [node.name for node in _nodes(patient) if node.operation in ("linear", "conv")]
    rules = [*(present or KAIMING), {"names": f"{learnt[-1]}.*", **SMALL}]
    return "start the last layer with small weights", (overriding((*ARCH_AT, "init"), rules),)


def units_alive(patient: Patient, finding: Finding) -> Mended:
    """Of a network that has not learnt: other weights. Units that died in training: normalisation
    keeps them alive, or a lower rate."""
    if patient.trained is None:
        return kaiming(patient, finding)
    remedy, overrides = normalised_maps(patient, finding)
    if overrides:
        return f"{remedy}; dead units do not recover, so train again", overrides
    rate = patient.loaded.train.optimizer.rate / LOWER
    lower = (f"train.optimizer.lr={rate:.2g}",)
    return f"train again with a {LOWER:g}th of the learning rate", lower


LOWER = 10.0
