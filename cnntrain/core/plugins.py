"""A user's files as modules, under names that hold what they are: `_SHA256_2fhome_2fme_2flayers`.

Every process can import what another one has made from a plugin: a worker that is spawned gets its
transforms pickled, by the names of their modules. What runs are the bytes that were read when the
plugin was named, or in another process bytes of the same hash; never a compiled file beside them.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from cnntrain.core.errors import ConfigError, PluginError
from cnntrain.core.problems import Place
from cnntrain.core.trust import Plugin, is_trusted, read_plugin, remember

__path__: list[str] = []  # a module that has one may have submodules
_PREFIX = f"{__name__}."
_SOURCES: dict[str, Plugin] = {}


def module_name(plugin: Plugin) -> str:
    """The name under which a plugin is imported, the same in every process."""
    path = os.fsencode(plugin.file)
    written = re.sub(rb"[^A-Za-z0-9]", lambda byte: b"_%02x" % ord(byte[0]), path).decode()
    return f"{_PREFIX}_{plugin.sha256}{written}"


def source_of(plugin: Plugin) -> str:
    """The text, as it is read and as it is run: a line that names another encoding is a comment.

    Raises:
        UnicodeDecodeError: it is not UTF-8.
    """
    return plugin.content.decode("utf-8-sig")


def import_plugin(plugin: Plugin) -> None:
    """Run a plugin that the user has named, and remember it.

    Raises:
        ConfigError: it cannot be imported.
    """
    assert is_trusted(plugin.sha256), f"nobody has named {plugin.file}"
    name = module_name(plugin)
    sys.modules.pop(name, None)
    _SOURCES[name] = plugin
    remember(plugin)
    try:
        importlib.import_module(name)
    except Exception as error:  # whatever a user's file does wrong is the user's to see
        raise ConfigError(
            f"importing the plugin {plugin.file} failed: {_said(error)}",
            remedy=f"run `python {plugin.file}` to see the whole traceback",
            place=plugin_place(error),
        ) from error


def plugin_place(error: BaseException) -> Place | None:
    """The innermost line of a plugin's code that was running when an exception was raised."""
    found = [*_places(error), *(_places(error.__cause__) if error.__cause__ else ())]
    return found[-1] if found else None


def is_of_plugin(module: str) -> bool:
    """Whether a module of that name is a plugin."""
    return module.startswith(_PREFIX)


def plugin_failure(error: BaseException) -> PluginError | None:
    """What to say of an exception that came up in a plugin's code; None where none was running."""
    place = plugin_place(error)
    if place is None:
        return None
    remedy = "correct the plugin; CNNTRAIN_DEBUG=1 shows the traceback"
    return PluginError(f"the plugin failed: {_said(error)}", remedy=remedy, place=place)


def _places(error: BaseException) -> Iterator[Place]:
    """The lines of plugins in a traceback, outer ones first."""
    for frame, number in traceback.walk_tb(error.__traceback__):
        name = str(frame.f_globals.get("__name__"))
        if name.startswith(_PREFIX):
            lines = source_of(_SOURCES[name]).splitlines() if name in _SOURCES else []
            line = lines[number - 1] if number <= len(lines) else ""
            column = len(line) - len(line.lstrip()) + 1
            yield Place(frame.f_code.co_filename, number, column, line)


def _said(error: BaseException) -> str:
    """The kind of an exception, and its first line."""
    first = str(error).strip().partition("\n")[0]
    return f"{type(error).__name__}: {first}" if first else type(error).__name__


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        found = re.fullmatch(r"_([0-9a-f]{64})(\w*)", fullname.removeprefix(_PREFIX), re.ASCII)
        if not fullname.startswith(_PREFIX) or found is None:
            return None
        written = found[2].encode()
        path_ = re.sub(rb"_([0-9a-f]{2})", lambda code: bytes.fromhex(code[1].decode()), written)
        file = Path(os.fsdecode(path_))
        plugin = _SOURCES.get(fullname) or read_plugin(file)
        if plugin.sha256 != found[1]:
            raise ImportError(f"{file} has changed since it was read")
        return spec_from_file_location(fullname, file, loader=_Source(plugin))


class _Source(Loader):
    """Runs the bytes of a plugin: nothing is read a second time."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def create_module(self, spec: ModuleSpec) -> None:
        """Python's own way."""

    def exec_module(self, module: ModuleType) -> None:
        code = compile(source_of(self._plugin), str(self._plugin.file), "exec", dont_inherit=True)
        exec(code, module.__dict__)  # what the user has named


sys.meta_path.append(_Finder())
