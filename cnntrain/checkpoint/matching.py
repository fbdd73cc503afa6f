"""Which of a file's weights belong where in a network: by name, and by shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from cnntrain.checkpoint.foreign import Rule, rename

PREFIXES = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put before every name."""

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
    """

    fitting: Mapping[str, Tensor]
    other_shape: Mapping[str, Shape]
    missing: tuple[str, ...]
    left_over: tuple[str, ...]


def match(
    own: Mapping[str, Tensor], given: Mapping[str, Tensor], *, rules: Sequence[Rule] = ()
) -> Match:
    """Find the weights of a network in a file's.

    Args:
        own: the network's state_dict.
        given: the file's, by its own names; a prefix that all of them have is looked through.
        rules: the map of names, ours to theirs; empty: the names are ours.

    Raises:
        CheckpointError: two rules contradict each other.
    """
    theirs = _our_names(own, list(given), rules)
    there = {name: given[theirs[name]] for name in own if name in theirs}
    fitting = {name: value for name, value in there.items() if value.shape == own[name].shape}
    return Match(
        fitting,
        {name: tuple(value.shape) for name, value in there.items() if name not in fitting},
        tuple(name for name in own if name not in there and not name.endswith(COUNTER)),
        tuple(their_name for name, their_name in theirs.items() if name not in own),
    )


def _our_names(
    own: Mapping[str, Tensor], names: Sequence[str], rules: Sequence[Rule]
) -> dict[str, str]:
    """Our names with theirs; of the ways to read theirs, the one in which most are known."""
    readings = [{name: name for name in names}]
    for prefix in PREFIXES:
        if all(name.startswith(prefix) for name in readings[-1]):
            readings.append({n.removeprefix(prefix): full for n, full in readings[-1].items()})
    renamed = [rename(each, rules, reverse=True, partial=True) for each in readings]
    return max(renamed, key=lambda names: len(names.keys() & own.keys()))
