"""The plugins of a run file: which files its names mean, and who may name them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from cnntrain.config.overrides import COMMAND_LINE
from cnntrain.config.sections import collected, find_beside
from cnntrain.core.choices import CHOICES
from cnntrain.core.document import Document
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.core.problems import Place, Problem
from cnntrain.core.trust import Plugin, is_trusted, name_plugin, read_plugin, take_as_named

Find: TypeAlias = Callable[[str, Place | None, Path], Plugin]
"""From the name in a run file, its place and the run file: the plugin."""


def find_named(name: str, place: Place | None, file: Path) -> Plugin:
    """The plugin that a user's run file, or `-s`, names.

    A run file in a run's folder came with the run: what it names has to be known already.

    Raises:
        ConfigError: there is no such file, or it cannot be read.
        CheckpointError: it is a run's, and not known.
    """
    found = find_beside(name, place=place, file=file)
    is_users = place is not None and place.file == COMMAND_LINE
    parts = ("checkpoints", "fold1/checkpoints")
    plugin = read_plugin(found)
    is_runs = not is_users and any((file.parent / part).is_dir() for part in parts)
    if is_runs and not is_trusted(plugin.sha256):
        raise CheckpointError(
            f"{file} is the file of a run, and names the plugin {name} (sha256 {plugin.sha256}), "
            "which you have not used before: its code would run",
            remedy=f"read it, and if you trust it add -s plugins=[{found}]",
        )
    return take_as_named(plugin)  # not read again: it may be another file by now


@dataclass(frozen=True)
class Naming:
    """How the names in a run file are understood.

    Args:
        given: with `--plugin`: each takes the place of the one that has its hash, or its file's
            name, or comes on top.
        recorded: the hashes that a run's plugins had, by name.
        find: the others; by default the user has named them.
    """

    given: tuple[Plugin, ...] = ()
    recorded: Mapping[str, str] = field(default_factory=dict)
    find: Find = find_named

    @staticmethod
    def by_user(files: Sequence[Path]) -> Naming:
        """In a file of the user's own, with these files of `--plugin`."""
        return Naming(tuple(name_plugin(file) for file in files))


def add_plugins(
    document: Document, *, file: Path, naming: Naming, problems: list[Problem]
) -> tuple[Plugin, ...] | None:
    """Add what the plugins register to the catalogues; None: the schema says what is wrong.

    Args:
        document: the run file, whose overrides are in it.
        file: where it is.
        naming: what its names mean.
        problems: takes up what is wrong.
    """
    names = document.data.get("plugins", [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return None
    taken = _taken(names, naming)
    found = []
    for index, name in enumerate(names):
        place = document.places.of(("plugins", index))
        with collected(problems, place=place):
            is_users = place is not None and place.file == COMMAND_LINE
            find = find_named if is_users else naming.find
            found.append(taken.pop(index) if index in taken else find(name, place, file))
            add_plugin(found[-1])
    for plugin in taken.values():
        with collected(problems):
            found.append(plugin)
            add_plugin(plugin)
    return tuple(found)


def _taken(names: Sequence[str], naming: Naming) -> dict[int, Plugin]:
    """The place of each given plugin among the names; those on top have places behind them."""
    taken: dict[int, Plugin] = {}
    for plugin in naming.given:
        free = [index for index in range(len(names)) if index not in taken]
        same = [i for i in free if naming.recorded.get(names[i]) == plugin.sha256]
        called = [i for i in free if Path(names[i]).name == plugin.path.name]
        taken[next(iter(same or called), len(names) + len(taken))] = plugin
    return taken


def add_plugin(plugin: Plugin) -> None:
    """Add what a plugin registers to the catalogues: it is read, not run.

    Raises:
        ConfigError: that is nothing, or cannot be read.
    """
    registered = [entry for each in CHOICES.values() for entry in each.add_plugin(plugin)]
    if not registered:
        decorators = ", ".join(f"@{each.decorator}" for each in CHOICES.values())
        message = f"the plugin {plugin.file.name} registers nothing"
        remedy = f'write one of {decorators} above a function or class, as in @layer("name")'
        raise ConfigError(message, remedy=remedy)
