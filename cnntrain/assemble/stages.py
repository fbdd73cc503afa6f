"""The stages of `pretrain` as run files: each is an autoencoder that any command can use.

The network of a stage is the one of the run file up to the stage's last layer, with its noise in
front of its first one and its decoder behind. The layers of earlier stages are frozen with the
weights that those found. The first stage reconstructs the images; a later one what the stage before
it gives (Vincent, Larochelle, Lajoie, Bengio and Manzagol, "Stacked Denoising Autoencoders", 2010,
section 3.5), so it ends in `with_target`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cnntrain.arch.plan import Plan, PlannedNode
from cnntrain.assemble.stage_file import Cut, item_of, stage_file
from cnntrain.config.loaded import Loaded
from cnntrain.config.pretrain_section import PretrainSection, StageSection
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem, suggestion


@dataclass(frozen=True)
class Stage:
    """One stage.

    Args:
        name: of its last layer, and of its run's folder.
        encoder: the layers up to it that have weights or statistics, outermost names.
        loaded: its run file; problems with it are said at the lines of the file it comes from.
    """

    name: str
    encoder: tuple[str, ...]
    loaded: Loaded


def stages_of(loaded: Loaded, plan: Plan, *, folder: Path | None = None) -> tuple[Stage, ...]:
    """The stages of a run file, the lowest first; none where it has no `pretrain`.

    Args:
        loaded: the run file.
        plan: of its network.
        folder: where the stages' runs are, if they are to be trained; None: they are only checked.

    Raises:
        ConfigError: a stage does not end at a layer of the network, or not behind the one before
            it, has nothing to learn, or reads more than one layer; all of it, each at its line.
    """
    section = loaded.config.pretrain
    if section is None:
        return ()
    cuts, problems = _cuts(loaded, section, plan.body.nodes)
    taken = {node.name for node in plan.body.nodes}
    for cut, stage in zip(cuts, section.stages, strict=False):
        problems += [*_wrong_reads(loaded, cut), *_wrong_names(loaded, cut, stage, taken)]
    if problems:
        raise ConfigError.of(problems)
    return tuple(
        Stage(stage.to, cut.with_weights(0, cut.stop), stage_file(loaded, section, cut, folder))
        for cut, stage in zip(cuts, section.stages, strict=True)
    )


def _cuts(
    loaded: Loaded, section: PretrainSection, nodes: Sequence[PlannedNode]
) -> tuple[list[Cut], list[Problem]]:
    names = [node.name for node in nodes]
    cuts: list[Cut] = []
    start = 0
    for number, stage in enumerate(section.stages):
        cut = Cut(number, nodes, start, start)
        message, remedy = "", ""
        if stage.to not in names:
            message = f"the network has no layer '{stage.to}'"
            remedy = suggestion(stage.to, names)
        else:
            cut = replace(cut, stop=names.index(stage.to) + 1)
            message, remedy = _misplaced(cut)
        if message:
            return cuts, [loaded.problem(cut.at("to"), message, remedy)]
        cuts.append(cut)
        start = cut.stop
    return cuts, []


def _misplaced(cut: Cut) -> tuple[str, str]:
    """Why a stage cannot end where it does, and what to do; nothing where it can."""
    name = cut.nodes[cut.stop - 1].name
    if cut.stop <= cut.start:
        message = f"'{name}' is not behind '{cut.reads}', at which the stage before ends"
        return message, "list the stages from the lowest layers to the highest"
    behind = cut.nodes[cut.stop : cut.stop + 1]
    if behind and item_of(behind[0]) == item_of(cut.nodes[cut.stop - 1]):
        message = f"a repeated item has more copies behind '{name}'"
        return message, "end at the last copy, or write the copies one by one"
    if not any(node.parameters for node in cut.own):
        return f"no layer that learns lies between '{cut.reads}' and '{name}'", "end at a later one"
    return "", ""


def _wrong_reads(loaded: Loaded, cut: Cut) -> Iterator[Problem]:
    """A stage has one input, which its noise spoils and its decoder gives back."""
    inside = {node.name for node in cut.own}
    for node in cut.own[1:]:
        for source in node.node.sources:
            if source not in inside:
                message = f"'{node.name}' reads '{source}', in front of the stage that it is in"
                remedy = f"end no stage between '{source}' and '{node.name}'"
                yield loaded.problem((*node.node.path, "from"), message, remedy)
    if cut.start and cut.own[0].node.sources != (cut.reads,):
        message = f"the stage begins at '{cut.own[0].name}', which does not read '{cut.reads}'"
        yield loaded.problem(cut.own[0].node.path, message, "end the stage before at another layer")


def _wrong_names(
    loaded: Loaded, cut: Cut, stage: StageSection, taken: set[str]
) -> Iterator[Problem]:
    """Names of decoders that another stage, or the network, gives to a layer, too."""
    for index, item in enumerate(stage.decoder):
        name = item.get("as") if isinstance(item, Mapping) else None
        if isinstance(name, str):
            if name in taken:
                message = f"a layer of the network, or of another decoder, is called '{name}'"
                path = cut.at("decoder", index, "as")
                yield loaded.problem(path, message, "choose another name")
            taken.add(name)
