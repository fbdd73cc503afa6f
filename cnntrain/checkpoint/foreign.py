"""Weights under other names: a two-way map of names that is data, and `rename`, which obeys it.

A map is YAML, one rule per line, `our name: its name`:

    conv1.batch_norm1.*: bn1.*
    stage{s}.block{b}.conv{n}.*: layer{s}.{b-1}.conv{n}.*

`{n}` stands for a part of a name, without dots; where one side says `{n-1}` or `{n+1}` it is a
number. `*` is the rest of the name. Both sides have the same of them, so a rule works both ways.
Where several rules fit a name, the first one counts: exceptions stand above the rule.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from cnntrain.core.complaints import shown, value_at
from cnntrain.core.document import Document, KeyPath, read_document
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.core.problems import Problem, halves
from cnntrain.show.words import listed

_SLOT = re.compile(r"\{(?P<name>[a-z]+)(?P<offset>[+-][0-9]{1,4})?\}|(?P<rest>\*)")
_NUMBER = "0|[1-9][0-9]{0,8}"
_SHOWN = 4
"""Names in a message; a wrong map fails for hundreds."""

Value = TypeVar("Value")


@dataclass(frozen=True)
class Pattern:
    """One side of a rule.

    Attributes:
        text: as it is written.
        regex: matches its names; groups are the placeholders.
        offsets: each placeholder (`rest` for `*`) with what is added to it on this side.
        numbers: the placeholders that are numbers.
    """

    text: str
    regex: re.Pattern[str]
    offsets: Mapping[str, int]
    numbers: frozenset[str]

    def read(self, name: str) -> dict[str, str] | None:
        """What the placeholders stand for in `name`; None if the pattern is not about it."""
        found = self.regex.fullmatch(name)
        return found and {
            key: str(int(value) - self.offsets[key]) if key in self.numbers else value
            for key, value in found.groupdict().items()
        }

    def write(self, values: Mapping[str, str]) -> str | None:
        """The name in which they stand for `values`; None if a number would be negative."""
        filled = {key: int(values[key]) + self.offsets[key] for key in self.numbers}
        if any(number < 0 for number in filled.values()):
            return None
        texts = {**values, **filled}
        return _SLOT.sub(lambda slot: str(texts[slot["name"] or "rest"]), self.text)


@dataclass(frozen=True)
class Rule:
    """One line of a map: two patterns of names for the same weights."""

    ours: Pattern
    theirs: Pattern


def make_rule(ours: str, theirs: str) -> Rule:
    """A rule from its two sides.

    Raises:
        ValueError: braces that hold no placeholder, or placeholders that the other side lacks; the
            remedy stands after a semicolon.
    """
    slots = [_slots(ours), _slots(theirs)]
    for mine, other, text in ((slots[0], slots[1], theirs), (slots[1], slots[0], ours)):
        for key in mine.keys() - other.keys():
            name = "*" if key == "rest" else f"{{{key}}}"
            raise ValueError(f"'{name}' is not in '{text}'; both sides must have it")
    numbers = frozenset(key for side in slots for key, offset in side.items() if offset is not None)
    return Rule(_pattern(ours, slots[0], numbers), _pattern(theirs, slots[1], numbers))


def rules_of(document: Document, path: KeyPath = ()) -> tuple[Rule, ...]:
    """The map at `path` of a document: a mapping of our names to theirs.

    Raises:
        ConfigError: with everything that is wrong with it.
    """
    raw = value_at(document.data, path)
    if not isinstance(raw, Mapping) or not raw:
        message = f"a map of names must stand here, not {shown(raw)}"
        remedy = "write `our.name.*: its.name.*`"
        raise ConfigError(message, remedy=remedy, place=document.places.of(path))
    rules: list[Rule] = []
    problems: list[Problem] = []
    for ours, theirs in raw.items():
        if not isinstance(theirs, str):
            message = f"a name must stand here, not {shown(theirs)}"
            where = document.places.of((*path, ours))
            problems.append(Problem(message, where, "quote it if it is a name"))
            continue
        try:
            rules.append(make_rule(ours, theirs))
        except ValueError as error:
            message, remedy = halves(error)
            where = document.places.of((*path, ours), key=True)
            problems.append(Problem(message, where, remedy))
    if problems:
        raise ConfigError.of(problems)
    return tuple(rules)


def read_rules(file: Path) -> tuple[Rule, ...]:
    """The map in a YAML file.

    Raises:
        ConfigError: the file cannot be read, or is no map of names.
    """
    return rules_of(read_document(file))


def rename(
    state: Mapping[str, Value],
    rules: Sequence[Rule],
    *,
    reverse: bool = False,
    partial: bool = False,
) -> dict[str, Value]:
    """A state_dict with every name translated, in its order; the values are the same objects.

    From our names to theirs, or back if `reverse`; `partial` leaves names that no rule maps.

    Raises:
        CheckpointError: a name that no rule maps (unless `partial`), or two names that become the
            same one.
    """
    became: dict[str, str] = {}
    origins: dict[str, list[str]] = defaultdict(list)
    for name in state:
        found = (_translated(name, rule, reverse=reverse) for rule in rules)
        other = next((other for other in found if other is not None), name if partial else None)
        if other is not None:
            became[name] = other
            origins[other].append(name)
    unmapped = [name for name in state if name not in became]
    merged = [f"{_quoted(names)} to '{other}'" for other, names in origins.items() if names[1:]]
    reasons = [f"maps {listed(merged, most=_SHOWN)}"] if merged else []
    if unmapped:
        reasons.insert(0, f"has no rule for {_quoted(unmapped)} ({len(unmapped)} of {len(state)})")
    if reasons:
        side = "its names to ours" if reverse else "our names to its names"
        remedy = "correct the map, or use that of the network the weights are from"
        raise CheckpointError(f"the map of {side} {', and it '.join(reasons)}", remedy=remedy)
    return {became[name]: value for name, value in state.items()}


def _translated(name: str, rule: Rule, *, reverse: bool) -> str | None:
    source, target = (rule.theirs, rule.ours) if reverse else (rule.ours, rule.theirs)
    values = source.read(name)
    return None if values is None else target.write(values)


def _slots(text: str) -> dict[str, int | None]:
    """The placeholders of one side with their offsets; None where none is written."""
    found: dict[str, int | None] = {}
    for slot in _SLOT.finditer(text):
        key = slot["name"] or "rest"
        if key in found:
            raise ValueError(f"'{slot[0]}' stands twice in '{text}'; give it two names")
        found[key] = None if slot["offset"] is None else int(slot["offset"])
    if set("{}") & set(_SLOT.sub("", text)):
        raise ValueError(f"a brace in '{text}' holds no placeholder; write {{n}}, {{n-1}} or *")
    return found


def _pattern(text: str, slots: Mapping[str, int | None], numbers: frozenset[str]) -> Pattern:
    def part(found: re.Match[str]) -> str:
        """A placeholder as a group, any other character as itself."""
        key = found["name"] or (found["rest"] and "rest")
        if not key:
            return re.escape(found[0])
        what = ".+" if key == "rest" else _NUMBER if key in numbers else r"[^.]+"
        return f"(?P<{key}>{what})"

    regex = re.compile(re.sub(f"{_SLOT.pattern}|.", part, text, flags=re.DOTALL))
    return Pattern(text, regex, {key: offset or 0 for key, offset in slots.items()}, numbers)


def _quoted(names: Iterable[Any]) -> str:
    return listed([f"'{name}'" for name in names], most=_SHOWN)
