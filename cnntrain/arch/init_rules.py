"""The `init:` section of an architecture: rules that say which layers get which initial weights.

init:
  - {layers: conv, weight: {kaiming: {mode: fan_out}}}
  - {names: "fc*", weight: {normal: {std: 0.01}}, bias: 0}
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnntrain.arch import init_schemes
from cnntrain.arch.description import Description
from cnntrain.arch.init_schemes import Constant, Scheme
from cnntrain.arch.initialise import InitRule
from cnntrain.arch.items import Reader
from cnntrain.core.complaints import shown
from cnntrain.core.document import KeyPath
from cnntrain.core.entry import Entry, Parameter
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import suggestion

RULE_KEYS = ("layers", "names", "weight", "bias")


def scheme_entries() -> dict[str, tuple[type[Scheme], Entry]]:
    """Every scheme with its YAML name (`truncated_normal`) and its parameters."""
    found = {}
    for kind in typing.get_args(Scheme):
        name = "".join("_" + c.lower() if c.isupper() else c for c in kind.__name__).lstrip("_")
        hints = typing.get_type_hints(kind)
        parameters = tuple(
            Parameter(
                name=field.name,
                annotation=str(field.type),
                kind=hints[field.name],
                required=field.default is dataclasses.MISSING,
                default=field.default,
                description="",
            )
            for field in dataclasses.fields(kind)
        )
        file = Path(init_schemes.__file__)
        found[name] = (kind, Entry(name, file, 1, kind.__doc__ or "", parameters, ()))
    return found


def read_init_rules(description: Description) -> tuple[InitRule, ...]:
    """The rules of an architecture.

    Raises:
        ConfigError: unknown keys or schemes, wrong parameters; all of them.
    """
    reader = Reader(description.reader.document)
    rules = tuple(_read_rule(rule, path, reader) for path, rule in description.init)
    if reader.problems:
        raise ConfigError.of(reader.problems)
    return rules


def _read_rule(rule: Mapping[str, Any], path: KeyPath, reader: Reader) -> InitRule:
    reader.add_unknown(rule, path, RULE_KEYS, "an initialisation rule")
    for key in ("layers", "names"):
        if not isinstance(rule.get(key, ""), str):
            message = f"'{key}' must be a string, not {shown(rule[key])}"
            reader.add((*path, key), message, "name one layer type, or one pattern")
            return InitRule()
    weight, bias = (
        _read_scheme(rule[key], (*path, key), reader) if rule.get(key) is not None else None
        for key in ("weight", "bias")
    )
    if rule.get("weight") is None and rule.get("bias") is None:
        reader.add(path, "the rule sets neither `weight` nor `bias`", "add one of them")
    return InitRule(weight, bias, operation=rule.get("layers"), names=rule.get("names"))


def _read_scheme(raw: Any, path: KeyPath, reader: Reader) -> Scheme | None:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return Constant(float(raw))
    name: Any = raw
    given: Any = {}
    if isinstance(raw, Mapping) and len(raw) == 1:
        ((name, given),) = raw.items()
        path = (*path, name)
    schemes = scheme_entries()
    if name not in schemes or not isinstance(given, Mapping):
        message = f"unknown initialisation {shown(raw) if isinstance(raw, Mapping) else name!r}"
        reader.add(path, message, suggestion(str(name), schemes))
        return None
    kind, entry = schemes[name]
    keywords, found = entry.check(given)
    for complaint in found:
        where = (*path, *complaint.path)
        reader.add(where, complaint.message, complaint.remedy, key=complaint.at_key)
    return None if found else kind(**keywords)
