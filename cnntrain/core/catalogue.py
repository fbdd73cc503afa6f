"""What exists, read from the source without running it.

A choice (a layer, an optimizer, a loss: see `choices`) is one file with a decorated function or
class:

    @layer("max_pool")
    def max_pool(*, kernel: Size = 2, stride: Size | None = None) -> nn.MaxPool2d: ...

Its name, its parameters with types and defaults, and its documentation are read with `ast`. So
misspelt names and wrong types are found, and lists are printed, without importing torch and
without running a user's plugin; the file is imported when the thing is built.
"""

from __future__ import annotations

import ast
import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from cnntrain.core.entry import Entry, read_entries
from cnntrain.core.errors import ConfigError
from cnntrain.core.plugins import import_plugin, source_of
from cnntrain.core.problems import Place, suggestion
from cnntrain.core.trust import Plugin

T = TypeVar("T", bound=Callable[..., Any])


@dataclass(eq=False)
class Catalogue:
    """All registered things of one kind.

    Args:
        kind: what a message calls one of them: `layer`, `data set`, `transform`.
        folder: the built-in ones' folder; each `.py` file in it is read.
        package: the folder's dotted import name.
        filled: parameters that a file must not give, because they are filled in.
        origin: what the filled parameters follow from, for messages.
    """

    kind: str
    folder: Path
    package: str
    filled: tuple[str, ...] = ()
    origin: str = "the run"
    _entries: dict[str, Entry] = field(default_factory=dict, init=False)
    _plugins: dict[str, Plugin] = field(default_factory=dict, init=False)
    _loaded: dict[str, Callable[..., Any]] = field(default_factory=dict, init=False)
    _is_read: bool = field(default=False, init=False)

    @property
    def decorator(self) -> str:
        """The name of the decorator: `dataset` for data sets."""
        return self.kind.replace(" ", "")

    def register(self, name: str, **options: object) -> Callable[[T], T]:
        """The decorator: `@layer("conv")`. Name and options must be written as literals."""
        del options  # read from the source

        def keep(thing: T) -> T:
            self._loaded[name] = thing
            return thing

        return keep

    def names(self) -> list[str]:
        """Every registered name, in alphabetical order."""
        self._read()
        return sorted(self._entries)

    def entries(self) -> list[Entry]:
        """Every entry, in alphabetical order of the names."""
        return [self._entries[name] for name in self.names()]

    def find(self, name: str) -> Entry | None:
        """The entry of that name, if there is one."""
        self._read()
        return self._entries.get(name)

    def entry(self, name: str) -> Entry:
        """The entry of that name.

        Raises:
            ConfigError: there is none; the message has the nearest name.
        """
        found = self.find(name)
        if found is None:
            message = f"unknown {self.kind} '{name}'"
            raise ConfigError(message, remedy=suggestion(name, self.names()))
        return found

    def load(self, name: str) -> Callable[..., Any]:
        """The function or class itself; imports its file the first time."""
        entry = self.entry(name)
        if name not in self._loaded:
            if name in self._plugins:
                import_plugin(self._plugins[name])
            else:
                importlib.import_module(f"{self.package}.{entry.file.stem}")
        return self._loaded[name]

    def add_plugin(self, plugin: Plugin) -> list[Entry]:
        """Add what a user's file registers in this catalogue, which is returned.

        The file is read, not run. An edited one takes the place of what it was before.

        Raises:
            ConfigError: the file is not valid Python, or takes a name that is in use.
        """
        found = self._entries_of(_parse(plugin), plugin.file)
        self._read()
        known = self._plugins.items()
        self._forget([name for name, other in known if _is_edition(plugin, other)])
        for entry in found:
            there, other = self._entries.get(entry.name), self._plugins.get(entry.name)
            if there is None:
                self._entries[entry.name] = entry
                self._plugins[entry.name] = plugin
            elif other is None or other.sha256 != plugin.sha256:
                place = Place(str(plugin.file), entry.line, 1)
                message = f"{self.kind} '{entry.name}' already exists in {there.file}"
                raise ConfigError(message, remedy="choose another name", place=place)
        return found

    def forget_plugins(self) -> None:
        """Go back to what is built in."""
        self._forget(list(self._plugins))

    def _forget(self, names: list[str]) -> None:
        for name in names:
            del self._entries[name], self._plugins[name]
            self._loaded.pop(name, None)

    def _read(self) -> None:
        if self._is_read:
            return
        self._is_read = True
        for file in sorted(self.folder.glob("[a-z]*.py")):
            for entry in self._entries_of(ast.parse(file.read_text(encoding="utf-8")), file):
                assert entry.name not in self._entries, f"{entry.name} is registered twice"
                self._entries[entry.name] = entry

    def _entries_of(self, tree: ast.Module, file: Path) -> list[Entry]:
        return read_entries(
            tree, file=file, decorator=self.decorator, filled=self.filled, origin=self.origin
        )


def _is_edition(plugin: Plugin, other: Plugin) -> bool:
    """Whether one is the other with other contents."""
    return plugin.path == other.path and plugin.sha256 != other.sha256


def _parse(plugin: Plugin) -> ast.Module:
    file = str(plugin.file)
    try:
        return ast.parse(source_of(plugin), filename=file)
    except (SyntaxError, ValueError) as error:
        place = Place(file, 1, 1)
        reason = "it has a null byte"
        if isinstance(error, UnicodeDecodeError):
            reason = "it is not UTF-8 text"
        if isinstance(error, SyntaxError):
            source = (error.text or "").rstrip("\n")
            place = Place(file, error.lineno or 1, error.offset or 1, source)
            reason = error.msg
        message = f"the plugin is not valid Python: {reason}"
        raise ConfigError(message, remedy="correct the file", place=place) from error
