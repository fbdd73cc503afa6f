"""The resolved run file: every value, and where it came from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from cnntrain.config.data_section import TransformCall
from cnntrain.config.load import Loaded
from cnntrain.config.overrides import COMMAND_LINE
from cnntrain.config.schema import RunConfig
from cnntrain.core.document import KeyPath, parse_scalar


@dataclass(frozen=True)
class ShownValue:
    """One value of the resolved run file.

    Args:
        path: leads to it.
        key: the path as `-s` takes it, such as `data.transforms.train.0`.
        value: plain data.
        origin: `file:line`, `-s key=value`, `default` or `the file's name`.
    """

    path: KeyPath
    key: str
    value: Any
    origin: str

    @property
    def text(self) -> str:
        """The value as YAML, in one line."""
        text = yaml.dump(
            self.value, Dumper=_Dumper, default_flow_style=True, width=10_000, allow_unicode=True
        )
        return text.strip().removesuffix("\n...")


def resolved_tree(config: RunConfig) -> dict[str, Any]:
    """The run file with every default written out, as plain data.

    A file that has these contents loads to an equal configuration.
    """
    tree = {name: _plain(value) for name, value in config}
    data = config.data
    own = {name: _plain(value) for name, value in data.parameters.items()}
    common = {name: _plain(value) for name, value in data if name not in ("name", "parameters")}
    tree["data"] = {"name": data.name, **own, **common}
    return tree


def resolved_yaml(config: RunConfig) -> str:
    """The same as YAML text."""
    return yaml_text(resolved_tree(config))


def yaml_text(tree: Any) -> str:
    """Plain data as YAML that our reader reads back unchanged."""
    return yaml.dump(
        tree,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=100,
        default_flow_style=None,
    )


def shown_values(loaded: Loaded) -> list[ShownValue]:
    """Every value of the resolved run file with its origin, in the order of the schema."""
    return list(_walk(resolved_tree(loaded.config), (), loaded))


def _walk(tree: Any, path: KeyPath, loaded: Loaded) -> Iterator[ShownValue]:
    is_inner = isinstance(tree, Mapping) or (
        isinstance(tree, list) and any(isinstance(item, dict | list) for item in tree)
    )
    if not is_inner or not tree:
        yield ShownValue(path, ".".join(map(str, path)), tree, _origin(path, loaded))
        return
    items = tree.items() if isinstance(tree, Mapping) else enumerate(tree)
    for key, value in items:
        yield from _walk(value, (*path, key), loaded)


def _origin(path: KeyPath, loaded: Loaded) -> str:
    place = loaded.document.places.values.get(path)
    if place is not None and place.file == COMMAND_LINE:
        return place.source
    if place is not None:
        return f"{place.file}:{place.line}"
    return "the file's name" if path == ("name",) else "default"


def _plain(value: Any) -> Any:
    """Mappings, lists and scalars, as they stand in a file."""
    if isinstance(value, TransformCall):
        parameters = {name: _plain(inner) for name, inner in value.parameters.items()}
        return {value.name: parameters} if parameters else value.name
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    fields = getattr(type(value), "model_fields", None)
    if fields is not None:
        return {name: _plain(getattr(value, name)) for name in fields}
    return value


class _Dumper(yaml.SafeDumper):
    """Quotes what our reader would take for something else, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    is_plain = parse_scalar(text) == text and text != "<<"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else "'")


_Dumper.add_representer(str, _represent_text)
