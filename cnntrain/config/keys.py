"""The keys of a run file, read off the schema: for near matches, key lists and descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cnntrain.config.schema import RunConfig
from cnntrain.config.section import Call, Choice, Section, fields_of, other_defaults, sections_in
from cnntrain.core.document import KeyPath


@dataclass(frozen=True)
class Key:
    """One key of the run file.

    Args:
        path: dotted, such as `train.optimizer.lr`.
        member: the choice whose own key it is, such as `sgd`; empty for any other.
        required: whether it must be given; `default` means nothing then.
        default: the value where it is not given.
        description: what it means.
    """

    path: str
    member: str
    required: bool
    default: Any
    description: str


def keys_at(tree: Any, path: KeyPath) -> list[str]:
    """The keys that the mapping at `path` of a run file may have."""
    choices: list[type[Section]] = [RunConfig]
    for element in path:
        try:
            tree = tree[element]
        except (KeyError, IndexError, TypeError):
            tree = None  # nothing is there
        if isinstance(element, str):
            fields = [fields_of(section).get(element) for section in choices]
            choices = [s for f in fields if f is not None for s in sections_in(f.annotation)]
    names = [name for section in choices for name in fields_of(section)]
    for section in choices:
        if issubclass(section, Choice) and isinstance(tree, Mapping):
            entry = section.catalogue.find(str(tree.get("name")))
            names += [p.name for p in entry.parameters] if entry is not None else []
    return list(dict.fromkeys(names))


def all_keys() -> list[Key]:
    """Every key of the schema, in the order of the file."""
    return list(_walk(RunConfig, ""))


def _walk(section: type[Section], prefix: str) -> Iterator[Key]:
    for name, field in fields_of(section).items():
        default = field.get_default(call_default_factory=True)
        path, description = prefix + name, field.description or ""
        yield Key(path, "", field.is_required(), default, description)
        inner = [s for s in sections_in(field.annotation) if not issubclass(s, Call)]
        is_list = "tuple" in str(field.annotation)
        for inside in inner:
            yield from _walk(inside, f"{path}{'[]' if is_list else ''}.")
    if issubclass(section, Choice):
        for entry in section.catalogue.entries():
            yield Key(f"{prefix}name", entry.name, True, None, entry.summary)
            for name, default in other_defaults(entry).items():
                description = section.model_fields[name].description or ""
                yield Key(prefix + name, entry.name, False, default, description)
            for own in entry.parameters:
                path = prefix + own.name
                yield Key(path, entry.name, own.required, own.default, own.description)
