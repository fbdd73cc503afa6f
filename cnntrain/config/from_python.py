"""Run files and changes of them as Python code gives them: a file, its text, a mapping."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

from cnntrain.config import shipped
from cnntrain.config.load import sound, try_to_load_document
from cnntrain.config.loaded import Loaded
from cnntrain.config.named_plugins import Naming
from cnntrain.config.resolved import dump_yaml
from cnntrain.core.complaints import dotted
from cnntrain.core.document import Document, KeyPath, parse_document, read_document
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import Problem

Source: TypeAlias = str | os.PathLike[str] | Mapping[str, Any]
"""A file or the name of a shipped one, YAML text (of several lines), or its contents."""

Changes: TypeAlias = Mapping[str, Any] | Sequence[str]
"""`{"train.epochs": 2}`, or as on the command line: `["train.epochs=2"]`."""


def load_given(source: Source, changes: Changes = (), *, plugins: Sequence[Path] = ()) -> Loaded:
    """Read and check a run file; names of files in a text or a mapping start from this folder.

    Raises:
        UsageError: there is no such file, or a value is not plain data.
        ConfigError: everything that is wrong; the lines of a mapping are those of its YAML.
    """
    return sound(*try_to_load_given(source, changes, plugins=plugins))


def try_to_load_given(
    source: Source,
    changes: Changes = (),
    *,
    plugins: Sequence[Path] = (),
    find: Callable[[str], Path] = shipped.resolve,
) -> tuple[Loaded | None, list[Problem]]:
    """As `cnntrain.config.load.try_to_load`; `find` gives the file that a name means."""
    document, file = read_given(source, find=find)
    naming, overrides = Naming.by_user(plugins), as_overrides(changes)
    return try_to_load_document(document, file=file, overrides=overrides, plugins=naming)


def read_given(source: Source, *, find: Callable[[str], Path]) -> tuple[Document, Path]:
    """The document, and what its places call the file: `<mapping>` and `<text>` if it is none."""
    if isinstance(source, Mapping):
        text = dump_yaml(_plain(source, ()))
        return parse_document(text, name="<mapping>"), Path("<mapping>")
    name = name_in(source)
    if name is None:
        return parse_document(str(source), name="<text>"), Path("<text>")
    file = find(name)
    return read_document(file), file


def name_in(source: Source) -> str | None:
    """The file's name; None where the source is what a file holds."""
    is_text = isinstance(source, str) and ("\n" in source or ": " in source)
    return None if isinstance(source, Mapping) or is_text else os.fspath(source)


def as_overrides(changes: Changes) -> list[str]:
    """The changes as they are written after `-s`."""
    if isinstance(changes, str):
        raise UsageError(f"changes are a mapping, not '{changes}'", remedy="write {key: value}")
    if not isinstance(changes, Mapping):
        return list(changes)
    return [f"{key}={json.dumps(_plain(value, (key,)))}" for key, value in changes.items()]


def _plain(value: Any, path: KeyPath) -> Any:
    """Only what YAML can hold; numpy's numbers are numbers, and paths are strings.

    Raises:
        UsageError: something else is in it.
    """
    if isinstance(value, Mapping):
        return {str(key): _plain(inner, (*path, str(key))) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner, (*path, index)) for index, inner in enumerate(value)]
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return float(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise UsageError(
        f"{dotted('', path)} is a {type(value).__name__}, which no run file can hold",
        remedy="give numbers, strings, lists and mappings",
    )
