"""The text of a run file with other values in it: comments, order and layout stay."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from cnntrain.config.resolved import in_line
from cnntrain.core.errors import UsageError


def edited(text: str, values: Mapping[str, Any]) -> str:
    """Set keys of sections, such as `data.workers`, in a text that is a valid run file.

    A value is replaced where it stands; a new key becomes the first of its section, a new section
    the last of the file.

    Raises:
        UsageError: the section stands in another file.
    """
    for key, value in values.items():
        section, _, name = key.partition(".")
        text = _with(text, section, name, in_line(value))
    return text


def _with(text: str, section: str, name: str, value: str) -> str:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode)
    found = _value(root, section)
    if found is None:
        gap = "" if not text or text.endswith("\n") else "\n"
        return f"{text}{gap}{section}:\n  {name}: {value}\n"
    if not isinstance(found, yaml.MappingNode):
        message = f"'{section}' is not written out in this file"
        raise UsageError(message, remedy=f"set {name}: {value} in the file that it names")
    old = _value(found, name)
    if old is not None:
        return text[: old.start_mark.index] + value + text[old.end_mark.index :]
    at = found.start_mark.index
    if found.flow_style:
        gap = ", " if found.value else ""
        return f"{text[: at + 1]}{name}: {value}{gap}{text[at + 1 :]}"
    return f"{text[:at]}{name}: {value}\n{' ' * found.start_mark.column}{text[at:]}"


def _value(mapping: yaml.MappingNode, name: str) -> yaml.Node | None:
    return next((value for key, value in mapping.value if key.value == name), None)
