"""Keys that had another name in earlier versions: run files, run folders and `-s` keep working."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from cnntrain.config.overrides import Override
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.problems import Problem

RENAMED: Mapping[KeyPath, KeyPath] = {("data", "validation"): ("data", "split", "validation")}
"""Where each key stood, and where it stands now; the new one is below the same section."""


_FORMER_DEFAULTS: Mapping[KeyPath, Any] = {("data", "train_folder"): "train"}
"""What earlier versions wrote into a run folder where nothing was given."""


def rename(document: Document) -> Iterator[Problem]:
    """Move the value of each earlier key to its new name, in place; a problem where both stand."""
    for old, new in RENAMED.items():
        section = document.data.get(old[0])
        if not isinstance(section, dict) or old[1] not in section:
            continue
        inside = section.get(new[1])
        if inside is not None and (not isinstance(inside, dict) or new[2] in inside):
            message = f"'{old[1]}' is the earlier name of '{new[1]}.{new[2]}', which is there too"
            yield Problem(message, document.places.of(old, key=True), "remove this one")
        elif inside is None:
            section[new[1]] = {new[2]: section[old[1]]}
        else:
            inside[new[2]] = section[old[1]]
        del section[old[1]]
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


def renamed_tree(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """The tree of an earlier run as `rename` would leave it, without defaults that have changed."""
    found = dict(tree)
    for old, new in RENAMED.items():
        section = found.get(str(old[0]))
        if isinstance(section, Mapping) and old[1] in section and new[1] not in section:
            moved = {key: value for key, value in section.items() if key != old[1]}
            found[str(old[0])] = {**moved, new[1]: {new[2]: section[old[1]]}}
    for path, default in _FORMER_DEFAULTS.items():
        section = found.get(str(path[0]))
        if isinstance(section, Mapping) and section.get(path[1]) == default:
            found[str(path[0])] = {key: value for key, value in section.items() if key != path[1]}
    return found
