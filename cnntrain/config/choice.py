"""Sections that choose: the chosen one's own keys stand beside those that every choice has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from cnntrain.config.section import Section
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.entry import Entry


class Choice(Section):
    """One entry of a catalogue.

    A subclass has the fields `name` and `parameters`, which loading fills with the entry's own
    keys; it has the keys that all entries have before and after them, in the order of the file.
    `usual` is what an unknown name counts as while the rest of the file is checked.
    """

    catalogue: ClassVar[Catalogue]
    usual: ClassVar[str] = ""

    if TYPE_CHECKING:
        name: str
        parameters: dict[str, Any]

    @classmethod
    def of(cls, name: str) -> Self:
        """The entry of that name, with its defaults."""
        parameters, _ = cls.catalogue.entry(name).check({})
        return cls(name=name, parameters=parameters)

    @property
    def entry(self) -> Entry:
        """What was chosen."""
        return self.catalogue.entry(self.name)


def other_defaults(entry: Entry) -> Mapping[str, Any]:
    """Common keys whose default is another one with this entry: its option `defaults`."""
    found = entry.options.get("defaults", {})
    assert isinstance(found, dict)
    return found
