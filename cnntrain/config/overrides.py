"""Single values from the command line: `-s train.optimizer.lr=0.02`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from cnntrain.core.document import Document, KeyPath, Places, parse_document
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place, Problem

COMMAND_LINE = "command line"
"""What places call the command line; the line is the number of the `-s`."""

_FLAG = "-s "


@dataclass(frozen=True)
class Override:
    """One `-s key=value`: the key's elements, where each stands, and what is to be set there."""

    path: tuple[str, ...]
    places: tuple[Place, ...]
    value: Document


def parse_override(text: str, *, number: int) -> Override:
    """Read what follows the `number`-th `-s`, from 1: `a.b.c=value`; the value is YAML.

    Raises:
        ConfigError: there is no `=`, an element of the key is empty, or the value is no YAML.
    """
    source = _FLAG + text
    key, equals, value = text.partition("=")
    parts = key.split(".")
    path = tuple(part.strip() for part in parts)

    def at(column: int) -> Place:
        return Place(COMMAND_LINE, number, column, source)

    def moved(problem: Problem) -> Problem:
        return replace(problem, place=at(problem.place.column if problem.place else 1))

    columns = accumulate((len(part) + 1 for part in parts[:-1]), initial=len(_FLAG) + 1)
    places = tuple(map(at, columns))
    if not equals or not all(path):
        message = f"'{text}' is not an override"
        raise ConfigError(message, remedy="write -s section.key=value", place=places[0])
    start = len(_FLAG) + len(key) + 1
    try:
        document = parse_document(" " * start + value, name=COMMAND_LINE)
    except ConfigError as error:
        raise ConfigError.of([moved(problem) for problem in error.problems]) from None
    values = {inner: at(place.column) for inner, place in document.places.values.items()}
    keys = {inner: at(place.column) for inner, place in document.places.keys.items()}
    if document.data is None:
        values[()] = at(min(start + 1, len(source)))
    return Override(path, places, Document(document.data, Places(keys, values)))


def apply_override(document: Document, override: Override) -> None:
    """Set the value in the document, with its places, making mappings on the way.

    Raises:
        ConfigError: something on the way is no mapping, or there is no such list position.
    """
    path: KeyPath = ()
    data, holder = document.data, None
    places, place = document.places, override.places[-1]
    for part, at_part in zip(override.path, override.places, strict=True):
        element: Any = part
        if isinstance(data, list):
            element = int(part) if part.isdecimal() else part
            if element not in range(len(data)):
                message = f"there is no element {element} in that list"
                raise ConfigError(message, remedy="set the whole list", place=place)
        elif isinstance(data, dict):
            if data.get(part) is None:
                data[part] = {}
            if (*path, part) not in places.keys:
                places.keys[*path, part] = at_part
                places.values.setdefault((*path, part), at_part)
        else:
            message = (
                f"'{'.'.join(map(str, path))}' is not a mapping, so nothing can be set below it"
            )
            raise ConfigError(message, remedy="set the whole of it", place=place)
        path = (*path, element)
        data, holder = data[element], data
    assert holder is not None
    holder[path[-1]] = override.value.data
    places.graft(path, override.value.places)
    places.keys[path] = place
