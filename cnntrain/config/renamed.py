"""Keys that had another name in earlier versions: run files, run folders and `-s` keep working."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cnntrain.config.overrides import Override
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.problems import Problem
from cnntrain.data import TRANSFORMS

RENAMED: Mapping[KeyPath, KeyPath] = {("data", "validation"): ("data", "split", "validation")}
"""Where each key stood, and where it stands now; the new one is below the same section."""


def rename(document: Document) -> Iterator[Problem]:
    """Move the value of each earlier key to its new name, in place; a problem where both stand."""
    for old, new, has_both in _move(document.data):
        if has_both:
            message = f"'{old[1]}' is the earlier name of '{new[1]}.{new[2]}', which is there too"
            yield Problem(message, document.places.of(old, key=True), "remove this one")
        for table in (document.places.keys, document.places.values):
            for path in [path for path in table if path[: len(old)] == old]:
                table.setdefault((*new, *path[len(old) :]), table.pop(path))


def renamed_override(override: Override) -> Override:
    """The override, of the new key where it names an earlier one."""
    for old, new in RENAMED.items():
        if override.path[: len(old)] == old:
            path = (*map(str, new), *override.path[len(old) :])
            more = len(path) - len(override.path)
            at = override.places[len(old) - 1]
            return replace(override, path=path, places=(*override.places, *[at] * more))
    return override


def renamed_tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The tree of an earlier run as `rename` would leave it, without defaults that have changed.

    Transforms have the parameters that were added since, with their defaults.
    """
    found = copy.deepcopy(dict(tree))
    list(_move(found))
    data = found.get("data")
    if isinstance(data, dict) and data.get("train_folder") == "train":  # the default of that time
        del data["train_folder"]
    _complete(data.get("transforms") if isinstance(data, dict) else None)
    return found


def _complete(transforms: Any) -> None:
    """Fill in the parameters of each `name: {parameters}`, in place."""
    lists = transforms.values() if isinstance(transforms, dict) else ()
    for call in [call for calls in lists if isinstance(calls, list) for call in calls]:
        for name, given in call.items() if isinstance(call, dict) else ():
            entry = TRANSFORMS.find(name)
            if entry is not None and isinstance(given, dict):
                call[name] = entry.completed(given)


def _move(tree: dict[Any, Any]) -> Iterator[tuple[KeyPath, KeyPath, bool]]:
    """Move what is there, in place; the paths, and whether the new one had a value, which stays."""
    for old, new in RENAMED.items():
        section = tree.get(old[0])
        if not isinstance(section, dict) or old[1] not in section:
            continue
        value, inside = section.pop(old[1]), section.get(new[1])
        has_both = inside is not None and (not isinstance(inside, dict) or new[2] in inside)
        if not has_both:
            section[new[1]] = {**(inside or {}), new[2]: value}
        yield old, new, has_both
