"""Whose code may run: plugins that this user names, and those of them that ran before.

A plugin is known by the SHA-256 of its bytes, wherever it lies. Those that ran are remembered in
the user's own list, a text file in the configuration folder, one line each: `sha256  path`. So a
run opens without a question for whoever trained it; a stranger's is refused, by
`runs.asked_plugins`. Places that figures are sent to are remembered in the same way.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from filelock import FileLock

from cnntrain.core.atomic import write_text_atomically
from cnntrain.core.errors import ConfigError, DiskError
from cnntrain.core.escapes import escaped

LARGEST = 16 << 20
"""Bytes that a plugin may have: no text that somebody wrote is larger."""

_LINE = re.compile(r"([0-9a-f]{64})(?:\s|$)")


@dataclass(frozen=True)
class Plugin:
    """A user's file as it was when it was read; what runs are these bytes.

    Args:
        path: where the run file says that it is.
        file: where it was read, which is another place for a run's own copy.
        content: its bytes.
    """

    path: Path
    file: Path
    content: bytes

    @cached_property
    def sha256(self) -> str:
        """The hash of the content, in hexadecimal digits."""
        return hashlib.sha256(self.content).hexdigest()


_NAMED: dict[str, Plugin] = {}
"""By hash, what the user has named in this process."""


def read_plugin(file: Path, *, path: Path | None = None) -> Plugin:
    """Read a file, which makes it nobody's to run; `path` as in `Plugin`, the file itself if None.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        status = file.stat()
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            reason = "it is not a file" if status.st_size <= LARGEST else "it is not Python source"
            raise ConfigError(f"cannot read the plugin {file}: {reason}", remedy="check the path")
        with file.open("rb") as opened:
            content = opened.read(status.st_size)
    except OSError as error:
        message = f"cannot read the plugin {file}: {error.strerror}"
        raise ConfigError(message, remedy="check the path in `plugins:`") from error
    return Plugin(path or file.resolve(), file.resolve(), content)


def name_plugin(file: Path) -> Plugin:
    """Read a file that the user names: from now on it may run.

    Raises:
        ConfigError: it cannot be read.
    """
    return take_as_named(read_plugin(file))


def take_as_named(plugin: Plugin) -> Plugin:
    """What was read may run from now on: these bytes, whatever is in the file by then."""
    _NAMED[plugin.sha256] = plugin
    return plugin


def named(sha256: str) -> Plugin | None:
    """What was named in this process with that content."""
    return _NAMED.get(sha256)


def is_trusted(sha256: str) -> bool:
    """Whether this user has named that content, now or before."""
    return sha256 in _NAMED or sha256 in _remembered()


def remember(plugin: Plugin) -> None:
    """Put a plugin on the user's list; where that cannot be written it is not remembered."""
    _remember(plugin.sha256, str(plugin.file))


def _remember(sha256: str, what: str) -> None:
    file = list_file()
    if file is None or sha256 in _remembered():
        return
    shown = escaped(what)
    with suppress(OSError, DiskError, NotImplementedError):
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with FileLock(f"{file}.lock", timeout=5):
            before = _text(file)
            before += "\n" if before and not before.endswith("\n") else ""
            write_text_atomically(file.resolve(), f"{before}{sha256}  {shown}\n")


def trust_place(place: str, *, is_named: bool) -> bool:
    """Whether figures may be sent to a place: one that the user names now, or named before.

    Args:
        place: an address, a database or a project, in words.
        is_named: whether the user names it now; it is remembered then.
    """
    token = hashlib.sha256(f"place: {place}".encode()).hexdigest()
    if is_named:
        _remember(token, place)
    return is_named or token in _remembered()


def list_file() -> Path | None:
    """The user's list, whether or not it is there; None for a user without a home."""
    folder = Path(os.environ.get("APPDATA" if os.name == "nt" else "XDG_CONFIG_HOME", ""))
    try:
        folder = folder if folder.is_absolute() else Path.home() / ".config"
    except RuntimeError:
        return None
    return folder / "cnntrain" / "plugins"


def _remembered() -> set[str]:
    file = list_file()
    lines = _text(file).splitlines() if file is not None else []
    return {found[1] for line in lines if (found := _LINE.match(line))}


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
