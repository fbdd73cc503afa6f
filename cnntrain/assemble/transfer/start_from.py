"""A network starts from weights that were trained before: what was loaded, and what was not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnntrain.arch.plan import Plan
from cnntrain.assemble.networks import head_names
from cnntrain.assemble.transfer.preprocessing import lacks_numbers, other_numbers
from cnntrain.assemble.transfer.sources import Source, at_source
from cnntrain.checkpoint.foreign import read_rules, rename
from cnntrain.checkpoint.matching import COUNTER, Match, Shape, common_beginning, match
from cnntrain.config import shipped
from cnntrain.config.loaded import Loaded
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.core.problems import Problem, near_match
from cnntrain.show.words import listed
from cnntrain.train.recipe import Freezing

_SHOWN = 4
"""Names in a line; a network has hundreds."""

_GUESSED = (
    "the head is kept, for it has as many outputs as there are classes; if it was trained for "
    "others, set finetune.head: new"
)
_UNKNOWN_NUMBERS = (
    "the normalisation used for these weights is unknown; using the training set's statistics. "
    "To override, set `normalize: {mean: ..., std: ...}`"
)


@dataclass(frozen=True)
class Start:
    """What happened to the weights that a run starts from. Names are ours, unless it says theirs.

    Args:
        source: where they come from.
        read: what was looked through on the way to them, in words; mostly nothing.
        loaded: got their values.
        new: the head, with initial values of its own.
        skipped: of the head, with the shape that it has there.
        missing: not there, so they have initial values.
        left_over: their names that nothing of ours is called.
        notes: what a person should know, one sentence each.
    """

    source: str
    read: str
    loaded: tuple[str, ...]
    new: tuple[str, ...]
    skipped: Mapping[str, Shape]
    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    notes: tuple[str, ...]

    def rows(self) -> list[tuple[str, str]]:
        """The table that a run prints: label and text."""
        count = len(self.loaded) + len(self.new) + len(self.missing)
        skipped = [f"{name} is {_shape(shape)} there" for name, shape in self.skipped.items()]
        return [
            ("weights", self.source),
            *([("  read", self.read)] if self.read else []),
            ("  loaded", f"{len(self.loaded)} of {count} tensors"),
            ("  new", f"{listed(self.new, most=_SHOWN)} (the head)" if self.new else "none"),
            ("  skipped", listed(skipped, most=_SHOWN)),
            ("  missing", listed(self.missing, most=_SHOWN)),
            ("  unused", listed(self.left_over, most=_SHOWN)),
            *(("note", note) for note in self.notes),
        ]


@dataclass(frozen=True)
class _Pair:
    """A network's weights beside a source's."""

    source: Source
    own: Mapping[str, Tensor]
    head: frozenset[str]
    found: Match

    @property
    def missing(self) -> tuple[str, ...]:
        """Names that the source has nothing for, the head's apart."""
        return tuple(name for name in self.found.missing if name not in self.head)

    @property
    def unfit(self) -> tuple[str, ...]:
        """Names of the head that cannot be taken over."""
        return tuple(n for n in self.own if n in self.head and n not in self.found.fitting)

    def their_name(self, name: str) -> str:
        """What one of our names is by the map of names."""
        return next(iter(rename({name: name}, self.source.rules, partial=True)))


def start_from(
    source: Source,
    net: nn.Module,
    *,
    loaded: Loaded,
    plan: Plan,
    classes: Sequence[str],
    whole: bool = False,
) -> Start:
    """Put the weights of `finetune` into a network with initial weights.

    Args:
        source: the weights.
        net: the network; it is changed.
        loaded: the run file.
        plan: of the network.
        classes: of the data, in the order of the outputs.
        whole: the network is to be used as it is, so nothing may be missing, and the head is kept.

    Raises:
        CheckpointError: the weights are of another network.
        ConfigError: what `finetune` says cannot be obeyed, at its line.
    """
    finetune = loaded.config.finetune
    assert finetune is not None
    own = net.state_dict()
    given = _given(source, own, loaded)
    found = match(own, given, rules=source.rules)
    pair = _Pair(source, own, head_names(loaded, plan), found)
    with at_source(loaded):
        _refuse_other_shapes(pair)
        _refuse_too_few(pair, least=1.0 if whole else finetune.least_loaded)
    wanted = "keep" if whole else finetune.head
    if wanted == "keep" and pair.unfit:
        raise ConfigError.of([_unfit_head(pair, loaded, count=len(classes))])
    # the classes of a mere file are unknown, so their number decides
    alike = not pair.unfit and source.classes in (None, tuple(classes))
    kept = wanted == "keep" or (wanted == "auto" and alike)
    chosen = {name: v for name, v in found.fitting.items() if kept or name not in pair.head}
    with at_source(loaded):
        _refuse_values(pair, chosen)
    net.load_state_dict(chosen, strict=False)
    guessed = kept and wanted == "auto" and source.classes is None
    other = None if source.steps is None else other_numbers(loaded, source.steps)
    return Start(
        source=source.name,
        read=_looked_through(source, found),
        loaded=tuple(chosen),
        new=() if kept else tuple(name for name in own if name in pair.head),
        skipped=found.other_shape,
        missing=pair.missing,
        left_over=(*found.left_over, *(n for n in source.tensors if n not in given)),
        notes=(
            *source.notes,
            *(_notes_on_missing(pair) if finetune.least_loaded else ()),  # else it is meant so
            *([_GUESSED] if guessed else []),
            *([_UNKNOWN_NUMBERS] if lacks_numbers(loaded) and not other else []),
            *([other] if other else []),
        ),
    )


def _given(source: Source, own: Mapping[str, Tensor], loaded: Loaded) -> Mapping[str, Tensor]:
    """The weights of the source; of an autoencoder, for another task, those of its encoder."""
    is_autoencoder = source.targets is not None and source.targets.form == "image"
    if not is_autoencoder or loaded.config.task.form == "image" or source.rules:
        return source.tensors
    return common_beginning(own, source.tensors)


def _looked_through(source: Source, found: Match) -> str:
    """The key and the prefix behind which the weights were, and which other key could be meant."""
    parts = [f"'{source.entry}'"] if source.entry else []
    parts += [f"names without '{found.prefix}'"] if found.prefix else []
    if source.others:
        parts.append(f"not '{source.others[0]}' (finetune.weights.entry: {source.others[0]})")
    return ", ".join(parts)


def refuse_still(start: Start, freezing: Freezing, *, loaded: Loaded) -> None:
    """A layer that is to be frozen must have been loaded.

    Raises:
        CheckpointError: its weights are as chance made them; names the first.
    """
    still = [name for name in start.missing if freezing.is_frozen(name, epoch=1)]
    if still:
        message = f"{still[0]} is not in {start.source}, so it must not be frozen"
        with at_source(loaded):
            remedy = "map its name (finetune.weights.rename), or do not freeze its layer"
            raise CheckpointError(message, remedy=remedy)


def _refuse_other_shapes(pair: _Pair) -> None:
    wrong = [name for name in pair.found.other_shape if name not in pair.head]
    if wrong:
        more = f", and {len(wrong) - 1} more differ" if wrong[1:] else ""
        raise CheckpointError(
            f"the weights of {pair.source.name} are of another network: "
            f"{_shapes_of(wrong[0], pair)}{more}",
            remedy=f"{_arch_remedy(pair)}, or take weights of this one",
        )


def _refuse_too_few(pair: _Pair, *, least: float) -> None:
    wanted = [n for n in pair.own if n not in pair.head and not n.endswith(COUNTER)]
    count = len(wanted) - len(pair.missing)
    if count >= least * len(wanted):
        return
    message = (
        f"{pair.source.name} has {count} of the {len(wanted)} weights of the network "
        f"({count / len(wanted):.0%}; at least {least:.0%} are needed); "
        f"not there: {listed(pair.missing, most=_SHOWN)}; "
        f"unused: {listed(pair.found.left_over, most=_SHOWN)}"
    )
    raise CheckpointError(message, remedy=_map_remedy(pair))


def _map_remedy(pair: _Pair) -> str:
    """The shipped map of names that fits, if one does; else the name that was probably meant."""
    folder = shipped.folder()
    if folder is not None and not pair.source.rules:
        for file in sorted((folder / "weights").glob("*.yaml")):
            with suppress(CheckpointError):  # that map makes two names one
                found = match(pair.own, pair.source.tensors, rules=read_rules(file))
                if len(found.fitting) > len(pair.own) // 2:
                    return f"set finetune.weights.rename: weights/{file.name}"
    near = near_match(pair.their_name(pair.missing[0]), pair.found.left_over)
    hint = f", with `{pair.missing[0]}: {near}`" if near else ""
    return f"{_arch_remedy(pair)}, or map names in finetune.weights.rename{hint}"


def _arch_remedy(pair: _Pair) -> str:
    name = pair.source.arch
    return f"set arch: {name}.yaml" if name else "describe their network in `arch`"


def _unfit_head(pair: _Pair, loaded: Loaded, *, count: int) -> Problem:
    message = (
        f"the head of {pair.source.name} does not fit the {count} classes of the data: "
        f"{_shapes_of(pair.unfit[0], pair)}"
    )
    keeps = loaded.is_given(("finetune", "head"))
    path = ("finetune", "head" if keeps else "weights")
    remedy = "give the data they were trained on, or train a new head (head: new)"
    return loaded.problem(path, message, remedy)


def _refuse_values(pair: _Pair, chosen: Mapping[str, Tensor]) -> None:
    for name, value in chosen.items():
        if value.is_floating_point() != pair.own[name].is_floating_point():
            kind = str(value.dtype).removeprefix("torch.")
            message = f"{name} of {pair.source.name} is {kind}, which is not a weight"
            raise CheckpointError(message, remedy="take weights that are not quantised")
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            message = f"{name} of {pair.source.name} is not finite"
            raise CheckpointError(message, remedy="take other weights: these are spoilt")


def _notes_on_missing(pair: _Pair) -> Iterator[str]:
    for name in pair.missing[:_SHOWN]:
        theirs = pair.their_name(name)
        there = "" if theirs == name else f" ('{theirs}' there)"
        near = near_match(theirs, pair.found.left_over)
        hint = f"; is it '{near}' there? (finetune.weights.rename)" if near else ""
        yield f"'{name}'{there} is not in {pair.source.name}, so it starts from chance{hint}"


def _shapes_of(name: str, pair: _Pair) -> str:
    there = pair.found.other_shape.get(name)
    what = "is not there" if there is None else f"is {_shape(there)} there"
    return f"{name} {what} and {_shape(pair.own[name].shape)} here"


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape)) or "one number"
