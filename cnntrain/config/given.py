"""What rules look at: a run file's values, and where they were given."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from cnntrain.config.schema import RunConfig
from cnntrain.config.train_section import TrainSection
from cnntrain.core.complaints import Complaint, dotted
from cnntrain.core.document import Document, KeyPath
from cnntrain.core.problems import Problem


@dataclass(frozen=True)
class Given:
    """A run file that is valid key by key, and the document that it was read from."""

    config: RunConfig
    document: Document

    @property
    def train(self) -> TrainSection:
        """The `train` section, for rules that are asked only where there is one."""
        assert self.config.train is not None
        return self.config.train

    def has(self, *path: str | int) -> bool:
        """Whether a value is written down."""
        return path in self.document.places.values

    def at(self, *path: str | int) -> str:
        """Where a value stands, for a message that is about another one."""
        name = dotted("", path)
        if not self.has(*path):
            return f"{name}, by default"
        place = self.document.places.of(path)
        assert place is not None
        return f"{name}, {place.file}:{place.line}"

    def problem(self, path: KeyPath, message: str, remedy: str) -> Problem:
        """A problem with the value at `path`."""
        return self.document.problem(Complaint(path, message, remedy))


Rule = Callable[[Given], Iterator[Problem]]
