"""Which of a file's weights belong where in a network: by name, and by shape."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from cnntrain.checkpoint.foreign import Rule, rename

PREFIXES = ("module", "_orig_mod", "model", "net", "backbone", "encoder")
"""What is put before every name: DataParallel and torch's averages write module, torch.compile
_orig_mod, modules of Lightning model or net, libraries of detection backbone, of contrastive
learning encoder."""

_CHAIN = re.compile(rf"(?:(?:{'|'.join(PREFIXES)})\.){{1,8}}")
_TRIED = 12
"""Readings of the names, those for which most names speak; real files have up to four."""

COUNTER = "num_batches_tracked"
"""Of a batch normalisation; older files lack it, and nothing is lost with it."""

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Match:
    """What a file has for a network.

    Args:
        fitting: our names, with their weights in the file.
        other_shape: our names whose weights have another shape there, with that shape.
        missing: our names that the file has nothing for.
        left_over: its names that nothing of ours is called.
        prefix: what was looked through before its names, such as `module.`; mostly nothing.
    """

    fitting: Mapping[str, Tensor]
    other_shape: Mapping[str, Shape]
    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    prefix: str = ""


def match(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], *, rules: Sequence[Rule] = ()
) -> Match:
    """Find the weights of a network in a file's.

    Args:
        own: the network's state_dict.
        given: the file's, by its own names; of `PREFIXES` in any nesting, those before them are
            looked through with which most names are known. Names without them are unused.
        rules: the map of names, ours to theirs; empty: the names are ours.

    Raises:
        CheckpointError: two rules contradict each other.
    """
    readings = ((prefix, _our_names(given, prefix, rules)) for prefix in _prefixes(given))
    prefix, theirs = max(readings, key=lambda reading: len(reading[1].keys() & own.keys()))
    there = {name: given[theirs[name]] for name in own if name in theirs}
    fitting = {name: value for name, value in there.items() if value.shape == own[name].shape}
    known = {theirs[name] for name in there}
    return Match(
        fitting,
        {name: tuple(value.shape) for name, value in there.items() if name not in fitting},
        tuple(name for name in own if name not in there and not name.endswith(COUNTER)),
        tuple(name for name in given if name not in known),
        prefix,
    )


def common_beginning(own: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a file that belong to the layers which both networks begin with.

    Layers are the outermost modules, in order; both have the same names and shapes in them. Of an
    autoencoder that is its encoder, whatever the layers behind it are called.
    """
    kept: dict[str, Tensor] = {}
    for ours, theirs in zip(_layers(own), _layers(given), strict=False):
        if {n: v.shape for n, v in ours.items()} != {n: v.shape for n, v in theirs.items()}:
            break
        kept |= theirs
    return kept


def _layers(weights: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """The weights by the outermost modules that they are in, in order."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in weights.items():
        found.setdefault(name.partition(".")[0], {})[name] = value
    return list(found.values())


def _prefixes(names: Iterable[str]) -> list[str]:
    """What may be before the names: nothing, or a prefix, those of most names first."""
    count: Counter[str] = Counter()
    for name in names:
        if chain := _CHAIN.match(name):
            parts = chain[0].split(".")[:-1]
            count.update(".".join(parts[:end]) + "." for end in range(1, len(parts) + 1))
    return ["", *(prefix for prefix, _ in count.most_common(_TRIED))]


def _our_names(names: Iterable[str], prefix: str, rules: Sequence[Rule]) -> dict[str, str]:
    """Our names with theirs, where theirs begin with a prefix."""
    reading = {name.removeprefix(prefix): name for name in names if name.startswith(prefix)}
    return rename(reading, rules, reverse=True, partial=True)
