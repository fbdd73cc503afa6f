"""The run file of one stage of `pretrain`, made from that of the whole training.

Each value keeps its place, so what is wrong with a stage is said at the line that a user wrote.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cnntrain.arch.ablation import pruned, rules_in_use, variables_in_use
from cnntrain.arch.items import INPUT, RESERVED
from cnntrain.arch.plan import PlannedNode
from cnntrain.assemble.networks import try_to_plan
from cnntrain.config.loaded import Loaded
from cnntrain.config.pretrain_section import PretrainSection, StageSection
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.config.schema import RunConfig
from cnntrain.config.task_section import TaskSection
from cnntrain.config.train_section import FinetuneSection, TrainSection, WeightsSection
from cnntrain.core.choices import TRANSFORMS
from cnntrain.core.document import Document, KeyPath, Places

LAYERS: KeyPath = ("arch", "layers")
_OF_TASK = ("aux", "heads", "init", "made_for")
"""Keys of an architecture that a stage does not take over as they are."""
FOLDER = "pretrain"
"""The section of the run file, and the folder of the stages' runs in the folder of the run."""


@dataclass(frozen=True)
class Cut:
    """Where a stage lies in the network.

    Args:
        number: of the stage, from 0.
        nodes: all of the network's.
        start: of its first node.
        stop: behind its last one.
    """

    number: int
    nodes: Sequence[PlannedNode]
    start: int
    stop: int

    @property
    def own(self) -> Sequence[PlannedNode]:
        """Its layers."""
        return self.nodes[self.start : self.stop]

    @property
    def reads(self) -> str:
        """What its first layer reads."""
        return self.nodes[self.start - 1].name if self.start else INPUT

    def at(self, *path: str | int) -> KeyPath:
        """Where something of it stands in the run file."""
        return (FOLDER, "stages", self.number, *path)

    def with_weights(self, first: int, last: int) -> tuple[str, ...]:
        """The nodes from `first` to `last` that have weights or statistics."""
        return tuple(n.name for n in self.nodes[first:last] if n.parameters or n.buffers)


def item_of(node: PlannedNode) -> int:
    """The position of the item of a list that a node was made of."""
    return int(node.node.path[len(LAYERS)])


def stage_file(loaded: Loaded, section: PretrainSection, cut: Cut, folder: Path | None) -> Loaded:
    """The run file of a stage; for the arguments see `stages_of`."""
    stage, config = section.stages[cut.number], loaded.config
    layers = _Layers(loaded.document.places)
    raw = loaded.document.data["arch"]["layers"]
    first, last = item_of(cut.own[0]), item_of(cut.own[-1])
    for index in range(first):
        layers.add(raw[index], (*LAYERS, index))
    if stage.noise is not None:
        layers.add(_called(stage.noise, f"{stage.to}_noise"), cut.at("noise"))
    names = {item_of(node): node.name for node in cut.own}
    for index in range(first, last + 1):
        layers.add(_called(raw[index], names[index]), (*LAYERS, index))
    for index, item in enumerate(stage.decoder):
        named = _called(item, f"{stage.to}_decoder{index + 1}", of_copies=True)
        layers.add(named, cut.at("decoder", index))
    if cut.start and layers.items:
        end = layers.items[-1]
        output = end.get("as") if isinstance(end, Mapping) else None
        pair = {"with_target": {}, "from": [output, cut.reads], "as": f"{stage.to}_target"}
        layers.add(pair, cut.at("decoder"))
    learnt = cut.with_weights(0, cut.start)
    before = section.stages[cut.number - 1].to
    weights = WeightsSection(run=str((folder or Path(FOLDER)) / before))
    frozen = FinetuneSection(weights=weights, least_loaded=0.0, freeze=learnt)
    task = "layer_reconstruction" if cut.start else "reconstruction"
    update = {
        "name": f"{config.name}-{stage.to}",
        "data": _unlabelled(config),
        "task": TaskSection(name=task),
        "finetune": frozen if learnt else None,
        "train": _train(loaded.train, section, stage),
        "pretrain": None,
    }
    derived = replace(
        loaded,
        config=config.model_copy(update=update),
        follows_weights=folder is None,  # else the weights are not there yet
    )
    return _with_network(derived, layers, cut)


def _unlabelled(config: RunConfig) -> Any:
    """The data as a stage has them: all training images, and nothing that mixes classes."""
    data = config.data
    whole = data.transforms
    kept = tuple(
        call for call in whole.train if not TRANSFORMS.entry(call.name).options.get("mixes")
    )
    return data.model_copy(
        update={
            "split": data.split.model_copy(update={"train": None}),
            "sampling": "natural",
            "images_per_class": None,
            "transforms": whole.model_copy(update={"train": kept}),
        }
    )


def _train(train: TrainSection, section: PretrainSection, stage: StageSection) -> TrainSection:
    optimizer = section.optimizer or train.optimizer.model_copy(update={"groups": ()})
    if stage.lr is not None:
        optimizer = optimizer.model_copy(update={"lr": stage.lr})
    return TrainSection(
        epochs=stage.epochs or section.epochs,
        loss=stage.loss or section.loss,
        optimizer=optimizer,
        schedule=section.schedule,
        penalties=stage.penalties,
        on_divergence=train.on_divergence,
    )


@dataclass(frozen=True)
class _Layers:
    """The items of a stage's network, with the places that they have in the run file."""

    given: Places
    items: list[Any] = field(default_factory=list)
    found: Places = field(default_factory=Places)

    def add(self, item: Any, path: KeyPath) -> None:
        """Add an item that stands at `path`."""
        self.graft((*LAYERS, len(self.items)), path)
        self.items.append(item)

    def graft(self, to: KeyPath, path: KeyPath) -> None:
        """Have what stands at `path` stand at `to`, too."""
        place = self.given.of(path)
        if place is not None:
            self.found.values[to] = place
        for old, new in (
            (self.given.keys, self.found.keys),
            (self.given.values, self.found.values),
        ):
            new.update(
                {(*to, *p[len(path) :]): v for p, v in old.items() if p[: len(path)] == path}
            )


def _called(item: Any, name: str, *, of_copies: bool = False) -> Any:
    """An item with its name written down; what is not an item, or repeated, as it is."""
    if isinstance(item, str):
        return {item: {}, "as": name}
    is_item = isinstance(item, Mapping) and any(key not in RESERVED for key in item)
    if not is_item or "as" in item or ("repeat" in item and not of_copies):
        return item
    return {**item, "as": name}


def _with_network(derived: Loaded, layers: _Layers, cut: Cut) -> Loaded:
    """The run file with the stage's network, and its values' places."""
    arch = derived.config.arch
    kept = {key: value for key, value in arch.items() if key not in _OF_TASK}
    whole = {**kept, "layers": layers.items}
    section = pruned(whole)
    for key in ("task", "finetune", "train"):
        place = layers.given.of(cut.at())
        if place is not None:
            layers.found.values[key,] = place
    for to, path in (
        (("train", "optimizer"), (FOLDER, "optimizer")),
        (("train", "schedule"), (FOLDER, "schedule")),
        (("train", "loss"), (FOLDER, "loss")),
        (("train", "loss"), cut.at("loss")),
        (("train", "epochs"), cut.at("epochs")),
        (("train", "penalties"), cut.at("penalties")),
    ):
        if layers.given.values.get(path) is not None:
            layers.graft(to, path)
    for table, found in ((layers.given.keys, layers.found.keys),
                         (layers.given.values, layers.found.values)):  # fmt: skip
        rest = {path: place for path, place in table.items() if _stays(path)}
        found.update(rest)
    made = _put(derived, section, layers.found)
    if not arch.get("init"):
        return made
    plan, _ = try_to_plan(made)
    if plan is None:
        return made
    return _put(derived, rules_in_use({**whole, "init": arch["init"]}, plan), layers.found)


def _stays(path: KeyPath) -> bool:
    """Whether what stands there is the same in the run file of a stage."""
    return path[:1] not in (("task",), ("train",), ("finetune",), ("pretrain",)) and path[
        :2
    ] not in (
        LAYERS,
        ("arch", "aux"),
        ("arch", "heads"),
        ("arch", "init"),
    )


def _put(derived: Loaded, section: Mapping[str, Any], places: Places) -> Loaded:
    still = variables_in_use(derived.config.vars, section)
    config = derived.config.model_copy(update={"arch": dict(section), "vars": still})
    data = {**derived.document.data, "arch": dict(section), "vars": still}
    document = Document(data, places, dump_yaml(resolved_tree(config)))
    return replace(derived, config=config, document=document)
