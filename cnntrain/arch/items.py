"""The syntax of one item: an operation, its parameters, `as`, `from`, `repeat`."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cnntrain.arch.expression import ExpressionError, Scope, evaluate
from cnntrain.core.complaints import shown, value_at
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.problems import Place, Problem, near_match

RESERVED = ("as", "from", "repeat")
INPUT = "input"
"""What `from` calls the input of the list itself."""


@dataclass(frozen=True)
class Item:
    """One entry of a list of layers, as written, with `$` still in it.

    `path` leads to the item in the document and `parameters_path` to its parameters.
    """

    operation: str
    parameters: Mapping[str, Any]
    path: KeyPath
    parameters_path: KeyPath
    name: str | None
    sources: tuple[str, ...] | None
    repeat: int


class Reporter:
    """Collects problems of one document, each with its place.

    Args:
        document: where the paths lead.
        trail: for what stands in a block, the places where the block is used.
    """

    def __init__(self, document: Document, trail: tuple[str, ...] = ()) -> None:
        self.document = document
        self.trail = trail
        self._said: list[tuple[KeyPath, str, Problem]] = []

    def inside(self, use: str) -> Reporter:
        """A reporter for a block's body, which adds where the block is used."""
        inner = Reporter(self.document, (*self.trail, use))
        inner._said = self._said
        return inner

    @property
    def count(self) -> int:
        """How many times something was reported."""
        return len(self._said)

    @property
    def problems(self) -> list[Problem]:
        """The problems; the same one from another copy or use of a block stands here once."""
        first: dict[tuple[KeyPath, str], Problem] = {}
        for path, message, problem in self._said:
            first.setdefault((path, message), problem)
        return list(first.values())

    def place(self, path: KeyPath, *, key: bool = False) -> Place | None:
        """Where `path` stands."""
        return self.document.places.of(path, key=key)

    def add(self, path: KeyPath, message: str, remedy: str, *, key: bool = False) -> None:
        """Note one problem."""
        self._said.append((path, message, self.problem(path, message, remedy, key=key)))

    def problem(self, path: KeyPath, message: str, remedy: str, *, key: bool = False) -> Problem:
        """One problem, with where the block around it is used."""
        suffix = f" ({'; '.join(self.trail)})" if self.trail else ""
        return Problem(message + suffix, self.place(path, key=key), remedy)


def read_items(path: KeyPath, *, scope: Scope, report: Reporter) -> Iterator[Item]:
    """The items of the list at `path`; what is wrong is reported and left out."""
    raw = value_at(report.document.data, path)
    if not isinstance(raw, list) or not raw:
        what = "an empty list" if raw == [] else shown(raw)
        remedy = "write a list such as `[{conv: {out: 8}}, relu]`, or one `- layer` per line"
        if isinstance(raw, str) and "$" in raw:
            remedy = "write the list here, or make a block of it; a variable cannot hold layers"
        report.add(path, f"a list of layers must stand here, not {what}", remedy)
        return
    for position in range(len(raw)):
        item = _read_item((*path, position), scope=scope, report=report)
        if item is not None:
            yield item


def resolve(value: Any, path: KeyPath, *, scope: Scope, report: Reporter, key: bool = False) -> Any:
    """`value` with every `$` expression in it evaluated; None where one is wrong.

    `key`: what is at `path` is a key, so a problem stands there and not at its value.
    """
    if isinstance(value, str) and "$" in value:
        try:
            return evaluate(value, scope)
        except ExpressionError as error:
            report.add(path, str(error), error.remedy, key=key)
            return None
    if isinstance(value, list):
        inside = enumerate(value)
        return [resolve(v, (*path, i), scope=scope, report=report) for i, v in inside]
    if isinstance(value, Mapping):
        items = value.items()
        return {k: resolve(v, (*path, k), scope=scope, report=report) for k, v in items}
    return value


def is_word(name: Any) -> bool:
    """Whether `name` can be the name of a layer, block or variable, and of a Python attribute."""
    is_name = isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None
    return is_name and not keyword.iskeyword(name)


def _read_item(path: KeyPath, *, scope: Scope, report: Reporter) -> Item | None:
    raw = value_at(report.document.data, path)
    if isinstance(raw, str):
        operation = _operation(raw, path, scope, report)
        return Item(operation, {}, path, path, None, None, 1) if operation else None
    if not isinstance(raw, Mapping):
        message = f"an item must name a layer, not be {shown(raw)}"
        report.add(path, message, "write `- name` or `- name: {parameters}`")
        return None
    key = _operation_key(raw, path, report)
    if key is None:
        return None
    parameters = raw[key] if raw[key] is not None else {}
    if not isinstance(parameters, Mapping):
        message = f"the parameters of '{key}' must be a mapping, not {shown(parameters)}"
        report.add((*path, key), message, f"write `{key}: {{name: value}}` with their names")
        return None
    operation = _operation(key, (*path, key), scope, report)
    if operation is None:
        return None
    name, sources = _name(raw, path, report), _sources(raw, path, report)
    repeat = _repeat(raw, path, scope, report)
    return Item(operation, parameters, path, (*path, key), name, sources, repeat)


def _operation(text: str, path: KeyPath, scope: Scope, report: Reporter) -> str | None:
    """The name of a layer or block, which may be a variable's value."""
    before = report.count
    operation = resolve(text, path, scope=scope, report=report, key=True)
    if isinstance(operation, str):
        return operation
    if report.count == before:
        message = f"'{text}' is {shown(operation)}, which names no layer"
        report.add(path, message, "give it the name of a layer or block", key=True)
    return None


def _operation_key(raw: Mapping[str, Any], path: KeyPath, report: Reporter) -> str | None:
    keys = [key for key in raw if key not in RESERVED]
    if len(keys) == 1:
        return keys[0]
    if not keys:
        report.add(path, "the item names no layer", "add `name: {parameters}` to it")
        return None
    slips = [key for key in keys if near_match(key, RESERVED)]
    for key in slips or keys[1:]:
        layer = next(other for other in keys if other != key)
        remedy = f"indent it if it is a parameter of '{layer}', or start a new item with `- `"
        remedy = f"did you mean '{near_match(key, RESERVED)}'?" if slips else remedy
        message = f"an item has one layer, but here is '{key}' beside '{layer}'"
        report.add((*path, key), message, remedy, key=True)
    return None


def _name(raw: Mapping[str, Any], path: KeyPath, report: Reporter) -> str | None:
    if "as" not in raw:
        return None
    name = raw["as"]
    if is_word(name) and name != INPUT:
        return str(name)
    message = f"'as' must be a word of letters, digits and _, not {shown(name)}"
    if isinstance(name, str) and keyword.iskeyword(name):
        message = f"'{name}' is a word of Python's own"
    elif name == INPUT:
        message = f"'{INPUT}' is the name of the list's own input"
    report.add((*path, "as"), message, "choose another name")
    return None


def _sources(raw: Mapping[str, Any], path: KeyPath, report: Reporter) -> tuple[str, ...] | None:
    if "from" not in raw:
        return None
    given = raw["from"]
    names = given if isinstance(given, list) else [given]
    if names and all(isinstance(name, str) for name in names):
        return tuple(names)
    message = f"'from' must be a name or a list of names, not {shown(given)}"
    report.add((*path, "from"), message, "name layers above in the same list (see `as`)")
    return None


def _repeat(raw: Mapping[str, Any], path: KeyPath, scope: Scope, report: Reporter) -> int:
    count = resolve(raw.get("repeat", 1), (*path, "repeat"), scope=scope, report=report)
    if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= 1000:
        return count
    if count is not None:
        message = f"'repeat' must be an integer from 0 to 1000, not {shown(count)}"
        report.add((*path, "repeat"), message, "write the number of copies")
    return 1
