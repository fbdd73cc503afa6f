"""Remedies that are changes of the run file, for findings of checks that do not see the run file.

Which of them stands for a fault is in `MENDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from cnntrain.arch.expand import Node
from cnntrain.assemble.arch_edits import in_run_file, overriding, with_item_behind, with_parameter
from cnntrain.config.loaded import ARCH_AT, TRANSFORMS_AT
from cnntrain.config.resolved import resolved_tree
from cnntrain.core.document import KeyPath
from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.setup import Patient
from cnntrain.diagnose.variants import name_of

KAIMING: list[Any] = [{"weight": "kaiming", "bias": 0}]
XAVIER: list[Any] = [{"weight": "xavier", "bias": 0}]
SMALL: Any = {"weight": {"normal": {"std": 0.01}}, "bias": 0}

KEPT = 0.2
"""The share that dropout may hide."""

SQUASHING = ("sigmoid", "tanh", "hard_sigmoid", "scaled_tanh")

Mended = tuple[str, tuple[str, ...]]
"""What is done, in words, and as overrides."""


def mended(finding: Finding, patient: Patient) -> Finding:
    """The finding with overrides, where it has none and a change of the run file mends it."""
    find = MENDS.get(finding.fault)
    if finding.overrides or find is None:
        return finding
    remedy, overrides = find(patient)
    return replace(finding, remedy=remedy, overrides=overrides) if overrides else finding


def _nodes(patient: Patient) -> list[Node]:
    return [each.node for _, each in patient.prepared.plan.walk()]


def _init(patient: Patient) -> Any:
    """How the weights start, as the run file says; None where it holds no architecture."""
    node = next((node for node in _nodes(patient) if in_run_file(node)), None)
    if node is None:
        return None
    arch = node.reader.value(ARCH_AT)
    return arch.get("init", []) if isinstance(arch, Mapping) else None


def _started(wanted: list[Any], what: str) -> Callable[[Patient], Mended]:
    """Start the weights so; where they already do, normalise behind the convolutions."""

    def find(patient: Patient) -> Mended:
        present = _init(patient)
        if present is not None and present != wanted:
            return f"start from {what}", (overriding((*ARCH_AT, "init"), wanted),)
        return _normalised_maps(patient)

    return find


def _normalised_maps(patient: Patient) -> Mended:
    nodes = _nodes(patient)
    convolutions = [
        node
        for node, then in zip(nodes, [*nodes[1:], None], strict=True)
        if node.operation == "conv" and not (then and then.operation.endswith("norm"))
    ]
    return "put batch_norm behind each convolution", with_item_behind(convolutions, "batch_norm")


def _kept_alive(patient: Patient) -> Mended:
    """Normalisation behind convolutions asks less of the rate than other weights or activations do;
    where there are none, rectifiers in place of what squashes, and larger weights."""
    remedy, overrides = _normalised_maps(patient)
    if overrides:
        return remedy, overrides
    squashing = [node for node in _nodes(patient) if node.operation in SQUASHING]
    plain = {node.path for node in squashing if in_run_file(node) and _is_plain(node)}
    changed = tuple(overriding(path, "relu") for path in sorted(plain, key=str))
    remedy, overrides = _kaiming(patient)
    if changed:
        return "use relu in place of what squashes", (*changed, *overrides)
    return remedy, overrides


def _is_plain(node: Node) -> bool:
    """Whether the item is a name alone."""
    return node.reader.value(node.path) in SQUASHING


def _small_outputs(patient: Patient) -> Mended:
    present = _init(patient)
    if present not in (None, [], KAIMING):
        return _kaiming(patient)
    if present is None:
        return "", ()
    learnt = [node.name for node in _nodes(patient) if node.operation in ("linear", "conv")]
    rules = [*(present or KAIMING), {"names": f"{learnt[-1]}.*", **SMALL}]
    return "start the last layer with small weights", (overriding((*ARCH_AT, "init"), rules),)


def _transforms(patient: Patient) -> tuple[list[Any], list[Any]]:
    tree: dict[str, Any] = resolved_tree(patient.loaded.config)["data"]["transforms"]
    return list(tree["train"]), list(tree["eval"])


def _as_evaluated(patient: Patient) -> Mended:
    path: KeyPath = (*TRANSFORMS_AT, "train")
    override = overriding(path, _transforms(patient)[1])
    return "train on images as evaluation has them; look at the others with `cnntrain data show`", (
        override,
    )


def _normalised(patient: Patient) -> Mended:
    both = []
    for split, steps in zip(("train", "eval"), _transforms(patient), strict=True):
        kept = [step for step in steps if name_of(step) != "normalize"]
        both.append(overriding((*TRANSFORMS_AT, split), [*kept, "normalize"]))
    return "normalise by the mean and deviation of the training images", tuple(both)


def _less_dropout(patient: Patient) -> Mended:
    def each() -> Iterator[str]:
        for node in _nodes(patient):
            if "drop" in node.operation and node.keywords.get("p", 0) > KEPT:
                yield from with_parameter(node, "p", KEPT)

    return f"lower `p` of the dropout layers to {KEPT}", tuple(dict.fromkeys(each()))


def _all_learn(patient: Patient) -> Mended:
    optimizer = resolved_tree(patient.loaded.config)["train"]["optimizer"]
    groups = [group for group in optimizer["groups"] if group.get("lr_factor") != 0]
    if len(groups) == len(optimizer["groups"]):
        return "", ()
    override = overriding(("train", "optimizer", "groups"), groups)
    return "let all layers learn: no group of parameters with `lr_factor: 0`", (override,)


_kaiming = _started(KAIMING, "weights that keep the deviation (He et al. 2015)")

MENDS: Mapping[str, Callable[[Patient], Mended]] = {
    "not_normalised": _normalised,
    "frozen_layer": _all_learn,
    "zero_initialisation": _kaiming,
    "dead_units": _kaiming,
    "saturated_units": _started(XAVIER, "weights for units with two ends (Glorot and Bengio 2010)"),
    "exploding_activations": _kaiming,
    "exploding_gradients": _kaiming,
    "vanishing_activations": _kept_alive,
    "vanishing_gradients": _kept_alive,
    "large_initial_loss": _small_outputs,
    "too_much_dropout": _less_dropout,
    "too_much_augmentation": _as_evaluated,
}
"""Fault -> what mends it, and how the run file says so."""
