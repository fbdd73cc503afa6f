"""The syntax of an item (an operation, its parameters, `as`, `from`, `repeat`) and of a block."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cnntrain.arch.expression import ExpressionError, Scope, evaluate
from cnntrain.core.complaints import shown, value_at
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.problems import Problem, near_match, suggestion
from cnntrain.layers import LAYERS

RESERVED = ("as", "from", "repeat")
BLOCK_KEYS = ("params", "layers")
INPUT = "input"
"""What `from` calls the input of the list itself."""
COPY = "copy"
"""`$copy` in an item with `repeat`: the number of copies above this one."""


@dataclass(frozen=True)
class Item:
    """One entry of a list of layers, as written, with `$` still in it.

    `path` leads to the item in the document and `parameters_path` to its parameters.
    """

    operation: str
    parameters: Mapping[str, Any]
    path: KeyPath
    parameters_path: KeyPath
    name: str | None = None
    sources: tuple[str, ...] | None = None
    repeat: int | None = None


@dataclass(frozen=True)
class Block:
    """A macro: its name, the path of its list, its parameters with defaults (None: required)."""

    name: str
    path: KeyPath
    parameters: Mapping[str, Any]


class Reader:
    """Evaluates what stands in a document, and collects its problems, each with its place.

    Args:
        document: where the paths lead.
        scope: what `$` means.
        trail: for what stands in a block, the places where the block is used.
    """

    def __init__(
        self, document: Document, scope: Scope | None = None, trail: tuple[str, ...] = ()
    ) -> None:
        self.document = document
        self.scope = scope if scope is not None else Scope({})
        self.trail = trail
        self._said: list[tuple[KeyPath, str, Problem]] = []

    def inside(self, scope: Scope, *use: str) -> Reader:
        """One that collects into the same list; `use`: where the block around it is used."""
        inner = Reader(self.document, scope, (*self.trail, *use))
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

    def value(self, path: KeyPath) -> Any:
        """What stands at `path`, with `$` still in it."""
        return value_at(self.document.data, path)

    def resolve(self, value: Any, path: KeyPath, *, key: bool = False) -> Any:
        """`value` with every `$` expression in it evaluated; None where one is wrong.

        `key`: what is at `path` is a key, so a problem stands there and not at its value.
        """
        if isinstance(value, str) and "$" in value:
            try:
                return evaluate(value, self.scope)
            except ExpressionError as error:
                self.add(path, str(error), error.remedy, key=key)
                return None
        if isinstance(value, list):
            return [self.resolve(inner, (*path, i)) for i, inner in enumerate(value)]
        if isinstance(value, Mapping):
            return {name: self.resolve(inner, (*path, name)) for name, inner in value.items()}
        return value

    def add(self, path: KeyPath, message: str, remedy: str, *, key: bool = False) -> None:
        """Note one problem."""
        self._said.append((path, message, self.problem(path, message, remedy, key=key)))

    def add_unknown(
        self, given: Collection[str], path: KeyPath, known: Collection[str], where: str
    ) -> set[str]:
        """Note the keys of the mapping at `path` that are not known in it; gives those meant."""
        unknown = [key for key in given if key not in known]
        for key in unknown:
            message = f"unknown key '{key}' in {where}"
            self.add((*path, key), message, suggestion(key, known, taken=given), key=True)
        return {near_match(key, known, taken=given) or "" for key in unknown}

    def add_unused(
        self, names: Iterable[str], used: set[str], path: KeyPath, what: str, remedy: str
    ) -> None:
        """Note the keys of the mapping at `path` that nothing uses; texts with `{}` for a key."""
        for name in names:
            if name not in used:
                message = f"{what.format(name)} is never used"
                self.add((*path, name), message, remedy.format(name), key=True)

    def problem(self, path: KeyPath, message: str, remedy: str, *, key: bool = False) -> Problem:
        """One problem, with where the block around it is used."""
        suffix = f" ({'; '.join(self.trail)})" if self.trail else ""
        return Problem(message + suffix, self.document.places.of(path, key=key), remedy)


def is_word(name: Any) -> bool:
    """Whether `name` can be the name of a layer, block or variable, and of a Python attribute."""
    is_name = isinstance(name, str) and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is not None
    return is_name and not keyword.iskeyword(name)


def other_name(name: Any) -> str:
    """What to call a variable or a parameter that cannot be called `name`; empty if it can."""
    if name == COPY:
        return f"choose another name: ${COPY} counts the copies of a repeated item"
    return "" if is_word(name) else "use a word of letters, digits and _"


def read_items(path: KeyPath, reader: Reader) -> Iterator[Item]:
    """The items of the list at `path`; what is wrong is reported and left out."""
    raw = reader.value(path)
    if not isinstance(raw, list) or not raw:
        what = "an empty list" if raw == [] else shown(raw)
        remedy = "write a list such as `[{conv: {out: 8}}, relu]`, or one `- layer` per line"
        if isinstance(raw, str) and "$" in raw:
            remedy = "write the list here, or make a block of it; a variable cannot hold layers"
        reader.add(path, f"a list of layers must stand here, not {what}", remedy)
        return
    for position, each in enumerate(raw):
        item = _read_item(each, (*path, position), reader)
        if item is not None:
            yield item


def _read_item(raw: Any, path: KeyPath, reader: Reader) -> Item | None:
    if isinstance(raw, str):
        operation = _operation(raw, path, reader)
        return Item(operation, {}, path, path) if operation else None
    if not isinstance(raw, Mapping):
        message = f"an item must name a layer, not be {shown(raw)}"
        reader.add(path, message, "write `- name` or `- name: {parameters}`")
        return None
    key = _operation_key(raw, path, reader)
    if key is None:
        return None
    parameters = raw[key] if raw[key] is not None else {}
    if not isinstance(parameters, Mapping):
        message = f"the parameters of '{key}' must be a mapping, not {shown(parameters)}"
        layer = LAYERS.find(key)
        example = f"`{key}: {{name: value}}` with their names"
        example = example if layer is None else layer.with_parameter(parameters)
        reader.add((*path, key), message, f"write {example}")
        return None
    operation = _operation(key, (*path, key), reader)
    if operation is None:
        return None
    name, sources = _name(raw, path, reader), _sources(raw, path, reader)
    repeat = _repeat(raw, path, reader)
    return Item(operation, parameters, path, (*path, key), name, sources, repeat)


def _operation(text: str, path: KeyPath, reader: Reader) -> str | None:
    """The name of a layer or block, which may be a variable's value."""
    before = reader.count
    operation = reader.resolve(text, path, key=True)
    if isinstance(operation, str):
        return operation
    if reader.count == before:
        message = f"'{text}' is {shown(operation)}, which names no layer"
        reader.add(path, message, "give it the name of a layer or block", key=True)
    return None


def _operation_key(raw: Mapping[str, Any], path: KeyPath, reader: Reader) -> str | None:
    keys = [key for key in raw if key not in RESERVED]
    if len(keys) == 1:
        return keys[0]
    if not keys:
        reader.add(path, "the item names no layer", "add `name: {parameters}` to it")
    slips = [key for key in keys if near_match(key, RESERVED) and LAYERS.find(key) is None]
    for key in slips or keys[1:]:
        layer = next(other for other in keys if other != key)
        remedy = f"indent it if it is a parameter of '{layer}', or start a new item with `- `"
        remedy = suggestion(key, RESERVED, taken=raw) if slips else remedy
        message = f"an item has one layer, but here is '{key}' beside '{layer}'"
        reader.add((*path, key), message, remedy, key=True)
    return None


def _name(raw: Mapping[str, Any], path: KeyPath, reader: Reader) -> str | None:
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
    reader.add((*path, "as"), message, "choose another name")
    return None


def _sources(raw: Mapping[str, Any], path: KeyPath, reader: Reader) -> tuple[str, ...] | None:
    if "from" not in raw:
        return None
    given = raw["from"]
    names = given if isinstance(given, list) else [given]
    if names and all(isinstance(name, str) for name in names):
        return tuple(names)
    message = f"'from' must be a name or a list of names, not {shown(given)}"
    reader.add((*path, "from"), message, "name layers above in the same list (see `as`)")
    return None


def _repeat(raw: Mapping[str, Any], path: KeyPath, reader: Reader) -> int | None:
    if "repeat" not in raw:
        return None
    count = reader.resolve(raw["repeat"], (*path, "repeat"))
    if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= 1000:
        return count
    if count is not None:
        message = f"'repeat' must be an integer from 0 to 1000, not {shown(count)}"
        reader.add((*path, "repeat"), message, "write the number of copies")
    return 1


def read_blocks(path: KeyPath, reader: Reader) -> dict[str, Block | None]:
    """The macros at `path`, checked for their form; None where one is wrong."""
    raw = reader.value(path)
    if not isinstance(raw, Mapping):
        remedy = "write `name: {params: {...}, layers: [...]}`"
        reader.add(path, f"'blocks' must be a mapping, not {shown(raw)}", remedy)
        return {}
    return {name: _read_block(name, body, (*path, name), reader) for name, body in raw.items()}


def _read_block(name: str, body: Any, path: KeyPath, reader: Reader) -> Block | None:
    before = reader.count
    if not is_word(name) or name in RESERVED:
        message = f"a block cannot be called '{name}'"
        reader.add(path, message, "use a word of letters, digits and _", key=True)
    if LAYERS.find(name) is not None:
        message = f"the block '{name}' has the name of a layer"
        reader.add(path, message, "rename the block", key=True)
    keys = body if isinstance(body, Mapping) else {}
    meant = reader.add_unknown(keys, path, BLOCK_KEYS, f"the block '{name}'")
    if not isinstance(body, Mapping) or "layers" not in body:
        remedy = "write `{params: {...}, layers: [...]}`"
        if "layers" not in meant:
            reader.add(path, f"the block '{name}' has no layers", remedy, key=True)
        return None
    params = body["params"] if body.get("params") is not None else {}
    path = (*path, "params")
    if not isinstance(params, Mapping):
        remedy = "write `{name: default}`, with ~ if it is required"
        reader.add(path, f"'params' must be a mapping, not {shown(params)}", remedy)
        return None
    for key in params:
        if remedy := other_name(key):
            reader.add((*path, key), f"a parameter cannot be called '{key}'", remedy, key=True)
    return Block(name, path[:-1], params) if reader.count == before else None
