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
from cnntrain.core.plugins import forget_plugin, import_plugin
from cnntrain.core.problems import Place, suggestion

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
            if entry.file.parent == self.folder:
                importlib.import_module(f"{self.package}.{entry.file.stem}")
            else:
                import_plugin(entry.file)
        return self._loaded[name]

    def add_plugin(self, file: Path) -> list[Entry]:
        """Add what a user's file registers in this catalogue, which is returned.

        The file is read, not run.

        Raises:
            ConfigError: the file is no valid Python, or takes a name that is in use.
        """
        found = self._read_file(file)
        self._read()
        for entry in found:
            there = self._entries.get(entry.name, entry).file
            if there.resolve() != entry.file.resolve():
                place = Place(str(file), entry.line, 1)
                message = f"{self.kind} '{entry.name}' already exists in {there}"
                raise ConfigError(message, remedy="choose another name", place=place)
        self._entries = {entry.name: entry for entry in found} | self._entries
        return found

    def forget_plugins(self) -> None:
        """Go back to what is built in, such as before an edited plugin is added again."""
        plugins = [entry for entry in self._entries.values() if entry.file.parent != self.folder]
        for entry in plugins:
            del self._entries[entry.name]
            self._loaded.pop(entry.name, None)
            forget_plugin(entry.file)

    def _read(self) -> None:
        if self._is_read:
            return
        self._is_read = True
        for file in sorted(self.folder.glob("[a-z]*.py")):
            for entry in self._read_file(file):
                assert entry.name not in self._entries, f"{entry.name} is registered twice"
                self._entries[entry.name] = entry

    def _read_file(self, file: Path) -> list[Entry]:
        tree = _parse(file)
        return read_entries(
            tree, file=file, decorator=self.decorator, filled=self.filled, origin=self.origin
        )


def _parse(file: Path) -> ast.Module:
    try:
        return ast.parse(file.read_text(encoding="utf-8"), filename=str(file))
    except OSError as error:
        message = f"cannot read the plugin {file}: {error.strerror}"
        raise ConfigError(message, remedy="check the path in `plugins:`") from error
    except (SyntaxError, UnicodeDecodeError) as error:
        place = Place(str(file), 1, 1)
        reason = "it is not UTF-8 text"
        if isinstance(error, SyntaxError):
            source = (error.text or "").rstrip("\n")
            place = Place(str(file), error.lineno or 1, error.offset or 1, source)
            reason = error.msg
        message = f"the plugin is not valid Python: {reason}"
        raise ConfigError(message, remedy="correct the file", place=place) from error
