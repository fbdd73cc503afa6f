"""What the sections of a run file have in common: a choice, lists of calls, kinds of value."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    model_validator,
)
from pydantic.fields import FieldInfo

from cnntrain.core.catalogue import Catalogue
from cnntrain.core.entry import Entry
from cnntrain.core.escapes import escaped
from cnntrain.core.kinds import NonNegative, Positive


class Section(BaseModel):
    """A mapping in the run file.

    Strict (`true` is no number, `"3"` is no integer), without unknown keys, never changed after
    loading. The line under a key describes it; `cnntrain schema` shows it to editors.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
    )


class Chosen(Section):
    """One entry of a catalogue, with its name and its own parameters."""

    catalogue: ClassVar[Catalogue]

    if TYPE_CHECKING:
        name: str
        parameters: dict[str, Any]

    @property
    def entry(self) -> Entry:
        """What was chosen."""
        return self.catalogue.entry(self.name)


class Choice(Chosen):
    """A section that chooses one entry.

    A subclass has the fields `name` and `parameters`, which loading fills with the entry's own
    keys; it has the keys that all entries have before and after them, in the order of the file.
    `usual` is what an unknown name counts as while the rest of the file is checked; where
    `needs_name` is false also what keys without a name are for.
    """

    usual: ClassVar[str] = ""
    needs_name: ClassVar[bool] = True

    @classmethod
    def default(cls) -> Self:
        """The usual entry, with its defaults."""
        parameters, _ = cls.catalogue.entry(cls.usual).check({})
        return cls(name=cls.usual, parameters=parameters)


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


def fields_of(section: type[Section]) -> dict[str, FieldInfo]:
    """The fields that a file may give; a choice's `parameters` are filled by loading."""
    hidden = "parameters" if issubclass(section, Choice) else ""
    return {name: field for name, field in section.model_fields.items() if name != hidden}


def sections_in(annotation: Any) -> list[type[Section]]:
    """The sections that a type may hold: none for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return [annotation]
    return [section for inner in get_args(annotation) for section in sections_in(inner)]


def calls_in(section: type[Section]) -> dict[str, type[Call]]:
    """The fields that are lists of calls, with what they call."""
    return {
        name: kind
        for name, field in section.model_fields.items()
        for kind in sections_in(field.annotation)
        if issubclass(kind, Call)
    }


class FoldOf(Section):
    """One of several parts of equal size: what cross-validation holds out."""

    fold: Positive
    """Which of the parts, from 1."""
    of: Annotated[int, Field(ge=2)]
    """How many parts there are."""

    @model_validator(mode="after")
    def _is_there(self) -> Self:
        if self.fold > self.of:
            raise ValueError(f"{{fold: 1, of: {self.of}}} to {{fold: {self.of}, of: {self.of}}}")
        return self


def _is_share(value: Any) -> bool:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    return is_count or (isinstance(value, float) and 0 < value < 1)


def _held_out(value: Any) -> Any:
    if value is None or value is False or _is_share(value):
        return value
    raise ValueError("a fraction between 0 and 1, a count of images, {fold: 1, of: 5}, or false")


def _share(value: Any) -> Any:
    if value is None or _is_share(value):
        return value
    raise ValueError("a fraction between 0 and 1, or a count of images")


def _run_name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if re.fullmatch(r"[^\W_][^/\\:*?\"<>|]*", value) and escaped(value) == value:
        return value
    raise ValueError("a name for a folder: a letter or digit first, and no slash or colon")


def _device(value: Any) -> Any:
    if not isinstance(value, str) or re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", value):
        return value
    raise ValueError("auto, cpu, cuda, cuda:N or mps")


def _shares(value: Any) -> Any:
    if isinstance(value, Mapping | Section):
        return value
    raise ValueError("a mapping such as {validation: 0.2, test: 0.2}")


FROM_LIST = Field(strict=False)
"""For tuples: a YAML list is taken too."""
SHARES = BeforeValidator(_shares)
"""For the split: what is given is a mapping."""

HeldOut = Annotated[
    Annotated[FoldOf, Tag("part")]
    | Annotated[int | float | Literal[False] | None, BeforeValidator(_held_out), Tag("number")],
    Discriminator(lambda value: "part" if isinstance(value, Mapping | FoldOf) else "number"),
]
Share = Annotated[int | float | None, BeforeValidator(_share)]
RunName = Annotated[str, BeforeValidator(_run_name)]
Device = Annotated[str, BeforeValidator(_device)]
Workers = Literal["auto"] | NonNegative
