"""The keys of a run file, read off the schema: for near matches, key lists and descriptions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic.fields import FieldInfo

from cnntrain.config.data_section import Data, TransformCall
from cnntrain.config.schema import RunConfig
from cnntrain.config.section import Section
from cnntrain.core.document import KeyPath

HIDDEN: dict[type[Section], tuple[str, ...]] = {Data: ("parameters",)}
"""Fields that loading fills; a file must not give them."""


@dataclass(frozen=True)
class Key:
    """One key of the run file.

    Args:
        path: dotted, such as `train.optimizer.lr`.
        member: the member of a closed set that has the key, such as `sgd`; empty elsewhere.
        field: type, default and description.
    """

    path: str
    member: str
    field: FieldInfo


def fields_of(section: type[Section]) -> dict[str, FieldInfo]:
    """The fields that a file may give."""
    hidden = HIDDEN.get(section, ())
    return {name: field for name, field in section.model_fields.items() if name not in hidden}


def sections_in(annotation: Any) -> list[type[Section]]:
    """The sections that a type may hold: several for a closed set, none for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for inner in get_args(annotation) for section in sections_in(inner)]


def member_of(section: type[Section]) -> str:
    """The `name` that chooses a member of a closed set; empty for any other section."""
    field = section.model_fields.get("name")
    names = get_args(field.annotation) if field is not None else ()
    return str(names[0]) if len(names) == 1 else ""


def keys_at(tree: Any, path: KeyPath) -> list[str]:
    """The keys that the mapping at `path` of a run file may have."""
    choices: list[type[Section]] = [RunConfig]
    for element in path:
        tree = _inside(tree, element)
        if isinstance(element, str):
            fields = [fields_of(section).get(element) for section in choices]
            choices = [s for f in fields if f is not None for s in sections_in(f.annotation)]
        if isinstance(tree, Mapping) and len(choices) > 1:
            choices = [s for s in choices if member_of(s) == tree.get("name")] or choices
    return list(dict.fromkeys(name for section in choices for name in fields_of(section)))


def all_keys() -> list[Key]:
    """Every key of the schema, in the order of the file."""
    return list(_walk(RunConfig, ""))


def keys_named(name: str) -> list[Key]:
    """The keys of that name inside of sections, one for each path and member."""
    return [key for key in all_keys() if key.path.endswith(f".{name}")]


def _walk(section: type[Section], prefix: str) -> Iterator[Key]:
    for name, field in fields_of(section).items():
        yield Key(prefix + name, member_of(section), field)
        inner = [s for s in sections_in(field.annotation) if s is not TransformCall]
        is_list = "tuple" in str(field.annotation)
        for inside in inner:
            yield from _walk(inside, f"{prefix}{name}{'[]' if is_list else ''}.")


def _inside(tree: Any, element: str | int) -> Any:
    if isinstance(tree, Mapping):
        return tree.get(str(element))
    is_there = isinstance(tree, list | tuple) and isinstance(element, int) and element < len(tree)
    return tree[element] if is_there else None
