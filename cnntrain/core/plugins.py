"""A user's files as modules: `import cnntrain.core.plugins._2fhome_2fme_2flayers_2epy` works.

The module's name holds the file's path, so every process can import what another one has made from
a plugin: a worker that is spawned gets its transforms pickled, by the names of their modules.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from pathlib import Path
from types import ModuleType

from cnntrain.core.errors import ConfigError

__path__: list[str] = []  # a module that has one may have submodules
_PREFIX = f"{__name__}."


def module_name(file: Path) -> str:
    """The name under which a plugin is imported, the same in every process."""
    path = os.fsencode(file.resolve())
    return _PREFIX + re.sub(rb"[^A-Za-z0-9]", lambda byte: b"_%02x" % ord(byte[0]), path).decode()


def import_plugin(file: Path) -> None:
    """Import a file outside of the package, once per path.

    Raises:
        ConfigError: it cannot be imported.
    """
    try:
        importlib.import_module(module_name(file))
    except Exception as error:  # whatever a user's file does wrong is the user's to see
        raise ConfigError(
            f"importing the plugin {file} failed: {type(error).__name__}: {error}",
            remedy="run `python " + str(file) + "` to see the whole traceback",
        ) from error


def forget_plugin(file: Path) -> None:
    """The next import reads the file again."""
    sys.modules.pop(module_name(file), None)


class _Finder(MetaPathFinder):
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if not fullname.startswith(_PREFIX):
            return None
        written = fullname.removeprefix(_PREFIX).encode()
        file = re.sub(rb"_([0-9a-f]{2})", lambda code: bytes.fromhex(code[1].decode()), written)
        loader = SourceFileLoader(fullname, os.fsdecode(file))
        return spec_from_file_location(fullname, loader=loader)


sys.meta_path.append(_Finder())
