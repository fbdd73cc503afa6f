"""From pydantic's errors to sentences: what stands there, what was expected, what to write."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cnntrain.core.problems import near_match, suggestion

Path = tuple[str | int, ...]

_EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "finite_number": "a finite number",
    "none_required": "null",
    "is_instance_of": "a list of layers",
}
_BOUND = {
    "greater_than": ("gt", "greater than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
    "multiple_of": ("multiple_of", "a multiple of"),
}


_QUOTED = 4
"""Of a list, in a remedy."""


@dataclass(frozen=True)
class Complaint:
    """A problem whose place is still a path of keys and list positions.

    Args:
        path: leads to the value (or key) that is wrong.
        message: what is wrong.
        remedy: what to do about it.
        at_key: the trouble is the key, not its value.
        missing: the key that is missing in the mapping at `path`, if that is the trouble.
        meant: the key that an unknown one probably is, if any.
    """

    path: Path
    message: str
    remedy: str = ""
    at_key: bool = False
    missing: str = ""
    meant: str | None = None


def unknown_key(path: Path, where: str, known: Sequence[str], given: Collection[str]) -> Complaint:
    """That the key at the end of `path` is none; `given` are all keys that stand there."""
    key = str(path[-1])
    meant, remedy = near_match(key, known, taken=given), suggestion(key, known, taken=given)
    return Complaint(path, f"unknown key '{key}' in {where}", remedy, at_key=True, meant=meant)


def complaints(
    errors: Iterable[Mapping[str, Any]],
    data: Any,
    *,
    known: Callable[[Path], Sequence[str]],
    where: str,
) -> list[Complaint]:
    """One complaint for each place that pydantic objects to.

    Args:
        errors: `ValidationError.errors()`.
        data: what was validated; pydantic's union tags are no path elements in it.
        known: the keys that are allowed in the mapping at a path.
        where: what the top of `data` is called, such as `train.optimizer` or `layer conv`.
    """
    grouped: dict[tuple[Path, str], list[Mapping[str, Any]]] = {}
    for error in errors:
        kind = error["type"] if error["type"] in ("extra_forbidden", "missing") else "value"
        kind = "key" if error["loc"][-1:] == ("[key]",) else kind
        path = real_path(data, tuple(error["loc"]), keep_last=kind == "missing")
        grouped.setdefault((path, kind), []).append(error)
    found = []
    for (path, kind), group in grouped.items():
        above, key = path[:-1], path[-1] if path else ""
        place = dotted(where, above)
        if kind == "extra_forbidden":
            found.append(unknown_key(path, place, known(above), value_at(data, above)))
        elif kind == "missing":
            message, remedy = f"'{key}' is missing in {place}", f"add `{key}: ...`"
            found.append(Complaint(above, message, remedy, missing=str(key)))
        elif kind == "key":
            message = f"the key '{key}' in {place} must be {_expectation(group[0])}"
            found.append(Complaint(path, message, "write such a key", at_key=True))
        else:
            keys = known(path) if any(e["type"] == "model_type" for e in group) else ()
            found.append(_wrong_value(path, group, value_at(data, path), where, keys))
    return without_misspelt(found)


def without_misspelt(found: Sequence[Complaint]) -> list[Complaint]:
    """Without "missing" for a key that is there, but misspelt: that is said at the key."""
    meant = {(c.path[:-1], c.meant) for c in found if c.meant}
    return [c for c in found if not c.missing or (c.path, c.missing) not in meant]


def real_path(data: Any, location: Path, *, keep_last: bool = False) -> Path:
    """`location` without the elements that pydantic added to tell union members apart."""
    path: list[str | int] = []
    for position, element in enumerate(location):
        is_key = isinstance(data, Mapping) and element in data
        is_index = (
            isinstance(data, list | tuple) and isinstance(element, int) and element < len(data)
        )
        if is_key or is_index:
            path.append(element)
            data = data[element]
        elif keep_last and position == len(location) - 1:
            path.append(element)
    return tuple(path)


def value_at(data: Any, path: Path) -> Any:
    """The value that stands at `path`."""
    for element in path:
        data = data[element]
    return data


def dotted(where: str, path: Path) -> str:
    """`train.optimizer`, `layers[2].conv`: a path as users write it."""
    text = where
    for element in path:
        text += f"[{element}]" if isinstance(element, int) else f".{element}"
    return text.lstrip(".") or "the file"


def shown(value: Any) -> str:
    """A value as a message quotes it: short, and with the kind when that is the trouble."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, str):
        return f"the string '{value if len(value) <= 40 else value[:37] + '...'}'"
    text = str(list(value) if isinstance(value, tuple) else value)
    return text if len(text) <= 40 else text[:37] + "..."


def _wrong_value(
    path: Path,
    errors: Sequence[Mapping[str, Any]],
    value: Any,
    where: str,
    keys: Sequence[str],
) -> Complaint:
    name = next((str(e) for e in reversed(path) if isinstance(e, str)), where)
    wanted = list(dict.fromkeys(_expectation(error) for error in errors))
    index = f"[{path[-1]}]" if path and isinstance(path[-1], int) else ""
    message = f"'{name}{index}' must be {', or '.join(wanted)}, not {shown(value)}"
    remedy = _remedy(value, errors, wanted[0])
    if keys and isinstance(value, int | float | str) and remedy.startswith("write a mapping"):
        remedy = f"write {name}: {{{keys[0]}: {value}}}"
    return Complaint(path, message, remedy)


def _expectation(error: Mapping[str, Any]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _BOUND:
        key, words = _BOUND[kind]
        return f"{words} {context[key]:g}"
    if kind == "literal_error":
        options = _options(error)
        return f"one of {', '.join(options)}" if len(options) > 1 else options[0]
    if kind in ("too_short", "too_long"):
        length = context.get("min_length", context.get("max_length"))
        return f"a list of {'at least' if kind == 'too_short' else 'at most'} {length}"
    if kind == "value_error":
        return str(context["error"])
    return _EXPECTED.get(kind, f"valid ({error['msg']})")


def _options(error: Mapping[str, Any]) -> list[str]:
    """The values that a Literal allows, as pydantic lists them: `'a', 'b' or 'c'`."""
    listed = str(error["ctx"]["expected"]).replace(" or ", ", ")
    return [option.strip(" '") for option in listed.split(",")]


def _remedy(value: Any, errors: Sequence[Mapping[str, Any]], wanted: str) -> str:
    kinds = {error["type"] for error in errors}
    remedy = ""
    if isinstance(value, str):
        remedy = _remedy_for_text(value, errors, kinds)
    elif isinstance(value, float) and "int_type" in kinds and value.is_integer():
        remedy = f"write {int(value)}"
    elif kinds == {"string_type"} and not isinstance(value, Mapping | list | bool | None):
        remedy = f"put it in quotes: '{value}'"
    elif isinstance(value, list) and "a list of names" in wanted and _are_plain(value):
        quoted = ", ".join(repr(str(each)) for each in value[:_QUOTED])
        remedy = f"put each in quotes: [{quoted}{', ...' if value[_QUOTED:] else ''}]"
        remedy += " (a zero in front counts, too)" if any(type(v) is int for v in value) else ""
    if remedy:
        return remedy
    if kinds & _BOUND.keys():
        return f"choose one that is {wanted}"
    return f"write {wanted}" if kinds <= _EXPECTED.keys() else "give such a value"


def _remedy_for_text(text: str, errors: Sequence[Mapping[str, Any]], kinds: set[str]) -> str:
    if text.lower() in ("none", "null"):
        return "write null, in lower case, for nothing"
    if kinds & {"int_type", "float_type"}:
        if _is_numeric(text):
            return "remove the quotes"
        is_grouped = "float_type" not in kinds or text.count(",") > 1 or "_" in text
        plain = text.replace("_", "").replace(",", "" if is_grouped else ".")
        if plain != text and _is_numeric(plain):
            return f"write {plain}"
    if "bool_type" in kinds and text.lower() in ("yes", "no", "on", "off", "true", "false"):
        return f"write {'true' if text.lower() in ('yes', 'on', 'true') else 'false'}"
    options = [o for e in errors if e["type"] == "literal_error" for o in _options(e)]
    if not options:
        return ""
    near = near_match(text, options)
    return f"did you mean '{near}'?" if near else "choose one of these"


def _are_plain(values: Sequence[Any]) -> bool:
    is_text = all(isinstance(each, str) for each in values)
    return not is_text and not any(isinstance(each, Mapping | list | None) for each in values)


def _is_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
