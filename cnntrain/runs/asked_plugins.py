"""The plugins that a run asks for, whose code runs only if this user has named it.

A checkpoint names its plugins with the hashes that they had, and the run's folder has copies of
them. So one's own run opens wherever it lies, and whatever happened to the files. A stranger's asks
for files that are on nobody's list: it is refused, and nothing of them runs.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from cnntrain.config.load import load
from cnntrain.config.loaded import Loaded
from cnntrain.config.named_plugins import Naming
from cnntrain.core.atomic import disk_errors, write_atomically
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.core.problems import Place
from cnntrain.core.trust import Plugin, is_trusted, name_plugin, named, read_plugin, remember
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.kept_run_file import kept_in


@dataclass(frozen=True)
class Asked:
    """What a run asks for.

    Args:
        by: the checkpoint or the folder, for messages.
        run: the folder of the run; None: unknown.
        hashes: of its plugins, by name. Of one that is not among them, because the run is older
            than these records, the file counts as it is now.
        given: the files of `--plugin`.
    """

    by: Path
    run: RunFolder | None = None
    hashes: Mapping[str, str] = field(default_factory=dict)
    given: Sequence[Path] = ()
    _notes: list[str] = field(default_factory=list)

    def naming(self) -> Naming:
        """How the names in its run file are understood."""
        given = tuple(name_plugin(file) for file in self.given)
        return Naming(given, self.hashes, self._find)

    def noted(self, loaded: Loaded) -> Loaded:
        """The run file, which could be read, with what is to be said about its plugins.

        The user has used them by now, and need not name them again.
        """
        for plugin in loaded.plugins:
            remember(plugin)
        then = {Path(name).name: sha256 for name, sha256 in self.hashes.items()}
        then |= self.hashes
        changed = [
            f"{plugin.file} is not the plugin that the run was trained with (sha256 "
            f"{plugin.sha256[:16]} now, {before[:16]} then): the run is not what it was"
            for plugin in loaded.plugins
            if (before := then.get(str(plugin.path), then.get(plugin.path.name)))
            not in (None, plugin.sha256)
        ]
        return replace(loaded, notes=(*self._notes, *changed))

    def _find(self, name: str, place: Place | None, file: Path) -> Plugin:
        del place
        if "\0" in name:
            raise CheckpointError(f"{self.by} asks for {name!a}", remedy="no file has that name")
        path, recorded = (file.parent / name).absolute(), self.hashes.get(name)
        if recorded is not None and not is_trusted(recorded):
            raise self._refusal(name, path, recorded)
        there = [found for each in self._places(name, path) if (found := _read(each, path))]
        sound = [each for each in there if recorded in (None, each.sha256)]
        if not sound and recorded is not None and (known := named(recorded)):
            return replace(known, path=path)
        if not there:
            hash_ = f" (sha256 {recorded})" if recorded else ""
            raise CheckpointError(
                f"{self.by} asks for the plugin {name}{hash_}, which is not there",
                remedy="say where it is: --plugin PATH",
            )
        plugin, first = (sound or there)[0], there[0]
        if not is_trusted(plugin.sha256):
            raise self._refusal(name, path, plugin.sha256)
        if first.file == path.resolve() and plugin.sha256 != first.sha256:
            self._notes.append(
                f"{path} has changed since the run (sha256 {first.sha256[:16]} now, "
                f"{plugin.sha256[:16]} then): the run's own copy is used, {plugin.file}; to use "
                f"the changed one: --plugin {shlex.quote(str(path))}"
            )
        return plugin

    def _places(self, name: str, path: Path) -> list[Path]:
        """Where the file could be: where it was, and in the folder of the run."""
        if self.run is None:
            return [path]
        copy = self.run.plugins / _copy_name(name)
        return [path, copy, *sorted(set(self.run.plugins.glob("*.py")) - {copy})]

    def _refusal(self, name: str, path: Path, sha256: str) -> CheckpointError:
        there = [found for each in self._places(name, path) if (found := _read(each, each))]
        files = [str(each.path) for each in there if each.sha256 == sha256]
        where = next((shlex.quote(file) for file in files if file.isprintable()), "PATH")
        return CheckpointError(
            f"{self.by} asks for the plugin {name} (sha256 {sha256}), which you have "
            "not used before, and opening it would run the plugin's code",
            remedy=f"read it, and if you trust it add --plugin {where}",
        )


def load_config(
    run: RunFolder, *, overrides: Sequence[str] = (), plugins: Sequence[Path] = ()
) -> Loaded:
    """The run file that a run's folder has, read as a run's: its plugins must be trusted.

    Raises:
        CheckpointError: it is damaged, or asks for what is unknown here, or for a plugin that the
            user has never named.
        ConfigError: the changes do not fit.
    """
    asked = _asked_in(run, plugins)
    with kept_in(run.config, overrides):
        return asked.noted(load(run.config, overrides, plugins=asked.naming()))


def naming_in(run: RunFolder, *, plugins: Sequence[Path] = ()) -> Naming:
    """What the names of plugins in a folder's config.yaml mean; see `load_config`."""
    return _asked_in(run, plugins).naming()


def _asked_in(run: RunFolder, plugins: Sequence[Path]) -> Asked:
    try:
        lines = run.plugin_hashes.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []  # in an older folder
    return Asked(run.path, run, hashes={line[66:]: line[:64] for line in lines}, given=plugins)


def keep_copies(run: RunFolder, loaded: Loaded) -> None:
    """Write a copy of each plugin into the run's folder, with the hashes; earlier ones stay there.

    Raises:
        DiskError: it cannot be written.
    """
    if not loaded.plugins:
        return
    with disk_errors(run.plugins):
        run.plugins.mkdir(exist_ok=True)
    for plugin in loaded.plugins:
        remember(plugin)
        file = run.plugins / _copy_name(plugin.path.name)
        there = _read(file, file)
        if there is not None and there.sha256 != plugin.sha256:
            _write(file.with_name(f"{file.stem}-{there.sha256[:8]}.py"), there.content)
        _write(file, plugin.content)
    hashes = loaded.plugin_hashes.items()
    run.write_text(run.plugin_hashes, "\n".join(f"{sha256}  {name}" for name, sha256 in hashes))


def _write(file: Path, content: bytes) -> None:
    write_atomically(file, lambda opened: opened.write(content), needed=len(content))


def _read(file: Path, path: Path) -> Plugin | None:
    try:
        return read_plugin(file, path=path)
    except (ConfigError, ValueError):  # Python refuses names with a null byte
        return None


def _copy_name(name: str) -> str:
    """A name without anything that leads elsewhere."""
    return re.sub(r"[^\w.-]", "_", Path(name).stem).lstrip(".") + ".py"
