"""The resolved run file: every value, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from rich.cells import cell_len

from cnntrain.config.loaded import Loaded
from cnntrain.config.overrides import COMMAND_LINE
from cnntrain.config.schema import RunConfig
from cnntrain.config.section import Call, Choice, Section
from cnntrain.core.document import KeyPath, parse_scalar
from cnntrain.core.escapes import escaped

_COMMENT_COLUMN = 60
_REVISION: KeyPath = ("finetune", "weights", "revision")


def resolved_tree(config: RunConfig) -> dict[str, Any]:
    """The run file with every default written out, as plain data.

    A file with these contents loads to an equal configuration, from any folder.
    """
    return {name: _plain(value) for name, value in config}


def yaml_text(loaded: Loaded) -> str:
    """The resolved run file as YAML."""
    return dump_yaml(resolved_tree(loaded.config))


def with_origins(loaded: Loaded) -> str:
    """The same, one value a line, each with a comment that says where it came from.

    An origin is `file:line`, `-s key=value`, `default`, for the name `the file's name`, and for
    the preprocessing of weights to start from `the weights`; for their commit `the hub`.
    """
    lines = list(_lines(resolved_tree(loaded.config), (), loaded))
    width = min(_COMMENT_COLUMN, max(cell_len(text) for text, _ in lines))
    shown = (
        f"{text}{' ' * (width - cell_len(text))}  # {origin}" if origin else text
        for text, origin in lines
    )
    return "\n".join(shown) + "\n"


def dump_yaml(tree: Any, *, width: float = 100, default_flow_style: bool | None = None) -> str:
    """Plain data as YAML that our reader reads back unchanged."""
    text: str = yaml.dump(
        tree,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=width,
        default_flow_style=default_flow_style,
    )
    return escaped(text, keep="\n")  # all such text is in double quotes, where it means the same


def _lines(tree: Any, path: KeyPath, loaded: Loaded) -> Iterator[tuple[str, str]]:
    """Each line with the origin of the value in it."""
    indent = "  " * len(path)
    if isinstance(tree, list):
        for index, item in enumerate(tree):
            inside = (*path, index)
            if _is_leaf(item):
                yield f"{indent}- {in_line(item)}", _origin(inside, loaded)
                continue
            (first, origin), *rest = _lines(item, inside, loaded)
            yield f"{indent}- {first[len(indent) + 2 :]}", origin
            yield from rest
        return
    for key, value in tree.items():
        inside = (*path, str(key))  # an epoch is a number to us, and a string in the file
        if _is_leaf(value):
            yield f"{indent}{in_line(key)}: {in_line(value)}", _origin(inside, loaded)
        else:
            yield f"{indent}{in_line(key)}:", ""
            yield from _lines(value, inside, loaded)


def _is_leaf(value: Any) -> bool:
    if isinstance(value, list):
        return not any(isinstance(item, dict | list) for item in value)
    return not (isinstance(value, dict) and value)


def in_line(value: Any) -> str:
    """A value as it stands behind its key, in one line."""
    text = dump_yaml(value, width=float("inf"), default_flow_style=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _origin(path: KeyPath, loaded: Loaded) -> str:
    place = loaded.document.places.values.get(path)
    if place is not None and place.file == COMMAND_LINE:
        return place.source
    if place is not None:
        return f"{place.file}:{place.line}"
    finetune = loaded.config.finetune
    if path == _REVISION and finetune is not None and finetune.weights.revision:
        return "the hub"
    if loaded.follows_weights and path[:2] == ("data", "transforms"):
        is_theirs = not loaded.is_given(path[:3]) or {"mean", "std"} & set(path)
        return "the weights" if is_theirs else "default"
    return "the file's name" if path == ("name",) else "default"


def _plain(value: Any) -> Any:
    """Mappings, lists and scalars, as they stand in a file."""
    if isinstance(value, Call):
        parameters = _plain(value.parameters)
        return {value.name: parameters} if parameters else value.name
    if isinstance(value, Choice):  # where its own keys stand among the common ones
        own = value.parameters.items()
        pairs = [p for key, each in value for p in (own if key == "parameters" else [(key, each)])]
        return _plain(dict(pairs))
    if isinstance(value, Section):
        return _plain(dict(value))
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    return value


class _Dumper(yaml.SafeDumper):
    """Quotes what our reader would take for something else, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    is_plain = parse_scalar(text) == text and text != "<<"
    style = '"' if not text.isprintable() else None if is_plain else "'"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
