"""Single values from the command line: `-s train.optimizer.lr=0.02`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from cnntrain.core.document import Document, KeyPath, Places, parse_document, set_value
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place, Problem

COMMAND_LINE = "command line"
"""What places call the command line; the line is the number of the `-s`."""

_FLAG = "-s "


@dataclass(frozen=True)
class Override:
    """One `-s key=value`.

    Args:
        path: the key's elements; numbers are positions in lists.
        places: where each element of `path` stands.
        value: what is to be set, with its places.
    """

    path: tuple[str, ...]
    places: tuple[Place, ...]
    value: Document


def parse_override(text: str, *, number: int) -> Override:
    """Read `a.b.c=value`; the value is YAML.

    Args:
        text: what follows `-s`.
        number: the first `-s` is 1.

    Raises:
        ConfigError: there is no `=`, an element of the key is empty, or the value is no YAML.
    """
    source = _FLAG + text
    key, equals, value = text.partition("=")
    path = tuple(part.strip() for part in key.split("."))
    columns = [
        len(_FLAG) + 1 + len(".".join(key.split(".")[:i])) + (i > 0) for i in range(len(path))
    ]
    places = tuple(Place(COMMAND_LINE, number, column, source) for column in columns)
    if not equals or not all(path):
        message = f"'{text}' is not an override"
        raise ConfigError(message, remedy="write -s section.key=value", place=places[0])
    start = len(_FLAG) + len(key) + 1
    try:
        document = parse_document(" " * start + value, name=COMMAND_LINE)
    except ConfigError as error:
        moved = [_moved(problem, number, source) for problem in error.problems]
        raise ConfigError.of(moved) from None
    at_value = Place(COMMAND_LINE, number, min(start + 1, len(source)), source)
    values = {p: _at(place, number, source) for p, place in document.places.values.items()}
    keys = {p: _at(place, number, source) for p, place in document.places.keys.items()}
    values[()] = values[()] if document.data is not None else at_value
    return Override(path, places, Document(document.data, Places(keys, values)))


def apply_override(document: Document, override: Override) -> None:
    """Set the value in the document, with its places.

    Raises:
        ConfigError: something on the way is no mapping and no list.
    """
    path = _with_positions(document, override.path)
    known = [path[: i + 1] in document.places.keys for i in range(len(path))]
    set_value(document, path, override.value.data, override.places[-1])
    document.places.graft(path, override.value.places)
    for length, place in enumerate(override.places, start=1):
        if not known[length - 1] and isinstance(path[length - 1], str):
            document.places.keys[path[:length]] = place
            document.places.values.setdefault(path[:length], place)


def _with_positions(document: Document, path: tuple[str, ...]) -> KeyPath:
    """`path` with numbers where the document has lists."""
    found: list[str | int] = []
    data = document.data
    for part in path:
        is_position = isinstance(data, list) and part.isdecimal()
        element = int(part) if is_position else part
        found.append(element)
        if isinstance(data, dict):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(element, int) and element < len(data):
            data = data[element]
        else:
            data = None
    return tuple(found)


def _at(place: Place, number: int, source: str) -> Place:
    return dataclasses.replace(place, line=number, source=source)


def _moved(problem: Problem, number: int, source: str) -> Problem:
    place = problem.place or Place(COMMAND_LINE, number, 1)
    return dataclasses.replace(problem, place=_at(place, number, source))
