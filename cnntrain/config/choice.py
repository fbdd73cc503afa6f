"""Sections that choose: one entry, its own keys beside the common ones; or a list of calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field

from cnntrain.config.section import Section
from cnntrain.core.catalogue import Catalogue
from cnntrain.core.entry import Entry


class Chosen(Section):
    """One entry of a catalogue, with its name and its own parameters."""

    catalogue: ClassVar[Catalogue]

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


class Choice(Chosen):
    """A section that chooses one entry.

    A subclass has the fields `name` and `parameters`, which loading fills with the entry's own
    keys; it has the keys that all entries have before and after them, in the order of the file.
    `usual` is what an unknown name counts as while the rest of the file is checked.
    """

    usual: ClassVar[str] = ""


class Call(Chosen):
    """One item of a list, defaults filled in; in the file a name, or `name: {parameters}`.

    An entry with the option `unlisted`, which says why, is for no list.
    """

    name: str
    """A registered entry."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """The entry's own parameters."""

    @classmethod
    def entries(cls) -> list[Entry]:
        """What may be listed."""
        return [each for each in cls.catalogue.entries() if "unlisted" not in each.options]


def other_defaults(entry: Entry) -> Mapping[str, Any]:
    """Common keys whose default is another one with this entry: its option `defaults`."""
    found = entry.options.get("defaults", {})
    assert isinstance(found, dict)
    return found
