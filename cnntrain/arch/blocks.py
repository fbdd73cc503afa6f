"""Blocks: macros with parameters, opened where an item names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cnntrain.arch.expression import Scope
from cnntrain.arch.items import RESERVED, Item, Reporter, is_word, resolve
from cnntrain.core.complaints import shown, value_at
from cnntrain.core.document import KeyPath
from cnntrain.core.problems import suggestion
from cnntrain.layers import LAYERS

BLOCK_KEYS = ("params", "layers")


@dataclass(frozen=True)
class Block:
    """A macro: its name, the path of its list, its parameters with defaults (None: required)."""

    name: str
    path: KeyPath
    parameters: Mapping[str, Any]


def read_blocks(path: KeyPath, *, report: Reporter) -> dict[str, Block | None]:
    """The macros at `path`, checked for their form; None where one is wrong."""
    raw = value_at(report.document.data, path)
    if not isinstance(raw, Mapping):
        remedy = "write `name: {params: {...}, layers: [...]}`"
        report.add(path, f"'blocks' must be a mapping, not {shown(raw)}", remedy)
        return {}
    return {name: _read_block(name, body, (*path, name), report) for name, body in raw.items()}


def block_scope(
    item: Item, block: Block, *, outer: Scope, top: Scope, report: Reporter
) -> Scope | None:
    """What `$` means in a block: the parameters that `item` gives, the defaults, the variables.

    Args:
        item: where the block is used.
        block: the block.
        outer: what `$` means where it is used.
        top: the variables, which a block sees below its own parameters.
        report: takes what is wrong; None is returned then.
    """
    before = report.count
    given = resolve(item.parameters, item.parameters_path, scope=outer, report=report)
    for key in given:
        if key not in block.parameters:
            message = f"unknown parameter '{key}' of the block '{block.name}'"
            remedy = suggestion(key, block.parameters)
            report.add((*item.parameters_path, key), message, remedy, key=True)
    for key, default in block.parameters.items():
        if default is None and key not in given:
            message = f"'{key}' is missing in '{block.name}'"
            report.add(item.parameters_path, message, f"add `{key}: ...`", key=True)
    inner = Scope({}, top)
    for key, default in block.parameters.items():
        path = (*block.path, "params", key)
        inside = default if key in given else resolve(default, path, scope=inner, report=report)
        inner.define(key, given.get(key, inside))
    return inner if report.count == before else None


def _read_block(name: str, body: Any, path: KeyPath, report: Reporter) -> Block | None:
    before = report.count
    if not is_word(name) or name in RESERVED:
        message = f"a block cannot be called '{name}'"
        report.add(path, message, "use a word of letters, digits and _", key=True)
    if LAYERS.find(name) is not None:
        message = f"the block '{name}' has the name of a layer"
        report.add(path, message, "rename the block", key=True)
    if not isinstance(body, Mapping) or "layers" not in body:
        remedy = "write `{params: {...}, layers: [...]}`"
        report.add(path, f"the block '{name}' has no layers", remedy, key=True)
        return None
    for key in body:
        if key not in BLOCK_KEYS:
            message = f"unknown key '{key}' in the block '{name}'"
            report.add((*path, key), message, suggestion(key, BLOCK_KEYS), key=True)
    params = body["params"] if body.get("params") is not None else {}
    if not isinstance(params, Mapping):
        message = f"'params' must be a mapping, not {shown(params)}"
        report.add((*path, "params"), message, "write `{name: default}`, with ~ if it is required")
        return None
    for key in params:
        if not is_word(key):
            message = f"a parameter cannot be called '{key}'"
            remedy = "use a word of letters, digits and _"
            report.add((*path, "params", key), message, remedy, key=True)
    return Block(name, path, params) if report.count == before else None
