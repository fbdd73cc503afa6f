"""What loading gives: a run file's values, and where each was given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnntrain.config.schema import RunConfig
from cnntrain.config.train_section import TrainSection
from cnntrain.core.complaints import Complaint, dotted
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem
from cnntrain.core.trust import Plugin

ARCH_AT: KeyPath = ("arch",)
TRANSFORMS_AT: KeyPath = ("data", "transforms")
FINETUNE_AT: KeyPath = ("finetune",)


@dataclass(frozen=True)
class Loaded:
    """A run file that is valid, but for its network.

    Args:
        config: every value, defaults filled in; names of files are absolute paths.
        document: what was given, with places: the run file with its sections and overrides in it.
        file: the run file.
        follows_weights: `data.transforms` that nobody gave are those of `finetune.weights`.
        plugins: as they were read, in the order of `config.plugins`.
        notes: what is to be said of a run: that its plugins are not what they were, or which it is.
        may_download: the data set, and weights of the hub, where the run file asks for it: that is
            the user's own, or the user says so now; one that came with a run must not write in
            folders that it names.
        names_observers: whether the user says now to whom the figures are sent, and not the run.
    """

    config: RunConfig
    document: Document
    file: Path
    follows_weights: bool = False
    plugins: tuple[Plugin, ...] = ()
    notes: tuple[str, ...] = ()
    may_download: bool = True
    names_observers: bool = True

    @property
    def data_parameters(self) -> dict[str, Any]:
        """The data set's own keys, as they are obeyed: see `may_download`."""
        given = self.config.data.parameters
        forbidden = not self.may_download and "download" in given
        return {**given, "download": False} if forbidden else dict(given)

    @property
    def plugin_hashes(self) -> dict[str, str]:
        """The SHA-256 of each plugin, by its name in `config.plugins`."""
        return {str(plugin.path): plugin.sha256 for plugin in self.plugins}

    @property
    def train(self) -> TrainSection:
        """The `train` section.

        Raises:
            ConfigError: there is none; a file without one lends weights to eval, predict, export.
        """
        if self.config.train is None:
            message = "there is no `train` section, so this file cannot train a network"
            remedy = "add `train:` with epochs and an optimizer"
            raise self.error((), message, remedy)
        return self.config.train

    @property
    def lr_scale(self) -> float:
        """What the optimizer's learning rate is multiplied by, for the size of the batches."""
        scaling = self.train.lr_scaling
        return 1.0 if scaling is None else self.config.data.batch / scaling.reference_batch

    def problem(self, path: KeyPath, message: str, remedy: str, *, key: bool = False) -> Problem:
        """A problem with the value (or key) at `path`, such as `("train", "epochs")`."""
        return self.document.problem(Complaint(path, message, remedy, at_key=key))

    def error(self, path: KeyPath, message: str, remedy: str) -> ConfigError:
        """An error with this problem alone."""
        return ConfigError.of([self.problem(path, message, remedy)])

    def at(self, *path: str | int) -> str:
        """Where a value stands, for a message that is about another one."""
        place = self.document.places.values.get(path)
        name = dotted("", path)
        return f"{name}, {place.file}:{place.line}" if place else f"{name}, by default"

    def is_given(self, path: KeyPath) -> bool:
        """Whether the value is written down, not a default."""
        return path in self.document.places.values

    def is_doubtful(self, path: KeyPath, problems: Sequence[Problem]) -> bool:
        """Whether a problem is about something at `path` or below it: what follows is in doubt."""
        places = self.document.places
        under = [p for p in (*places.values, *places.keys) if p[: len(path)] == path]
        theirs = {places.of(p, key=key) for p in under for key in (False, True)}
        return any(problem.place in theirs for problem in problems)
