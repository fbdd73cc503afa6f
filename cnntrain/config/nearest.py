"""Shipped files whose names are like one that is not there, however other programs write it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import SequenceMatcher

from cnntrain.core.problems import same_letters

MOST = 3
"""Names in a suggestion."""

LIKE = 0.65
"""Ratio of difflib's from which on two names are alike."""


def folded(name: str) -> str:
    """Its small letters and digits, without folders and `.yaml`."""
    last = re.split(r"[/\\]", name.lower())[-1]
    return re.sub(r"[^a-z0-9]", "", re.sub(r"\.ya?ml$", "", last))


def nearest(name: str, options: Mapping[str, Iterable[str]]) -> list[str]:
    """The options that `name` may have meant, the likeliest first, at most `MOST`.

    Those that only spell it in another way (capitals, hyphens, no underscores) leave no room for
    others; next come those whose names contain it or are contained in it.

    Args:
        name: the unknown one; only letters and digits of its last part count, with and without
            what timm puts behind a dot, the tag of its weights (`convnext_tiny.fb_in1k`).
        options: names by which each option is also known.
    """
    keys = {folded(name), folded(re.sub(r"\.[a-z]\w*$", "", name))}
    ranks = {option: min(_rank(key, folded(option)) for key in keys) for option in options}
    for option, others in options.items():
        if keys & {folded(other) for other in others if other}:
            ranks[option] = min(ranks[option], (0, 0.0, 0))
    found = sorted((rank, _natural(option), option) for option, rank in ranks.items())
    near = [option for rank, _, option in found if rank[0] < 2 or -rank[1] >= LIKE]
    same = [option for option in near if ranks[option][0] == 0]
    return (same or near)[:MOST]


def did_you_mean(names: Collection[str], *, kind: str) -> str:
    """The remedy for a name that is not there: the nearest ones, and what lists all of a kind."""
    *first, last = [f"'{name}'" for name in names] or [""]
    listed = f"{', '.join(first)} or {last}" if first else last
    near = f"did you mean {listed}?" if last else "check the name;"
    return f"{near} `cnntrain list {kind}` shows all"


def _rank(key: str, fold: str) -> tuple[int, float, int]:
    """Smaller is nearer: 0 for the same, 1 where one contains the other; then difflib's ratio."""
    short, long = sorted((key, fold), key=len)
    is_part = short in long and len(short) >= (3 if long.startswith(short) else 5)
    ratio = SequenceMatcher(None, key, fold, autojunk=False).ratio()
    level = 0 if key == fold else 1 if is_part else 2
    return level, -ratio, -same_letters(key, fold)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts resnet9 before resnet18."""
    return [(int(number or 0), word) for word, number in re.findall(r"(\D*)(\d*)", name)]
