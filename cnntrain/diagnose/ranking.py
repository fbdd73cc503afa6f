"""The order in which checks are made, and the order of causes: with what plugins add to both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from cnntrain.core.choices import CHECKS
from cnntrain.core.entry import Entry
from cnntrain.core.errors import ConfigError, UsageError
from cnntrain.core.problems import Place, suggestion
from cnntrain.diagnose.faults import FAULTS, SYMPTOMS

T = TypeVar("T")


def check_names() -> list[str]:
    """The names of all checks, in the order in which they are made."""
    return [entry.name for entry in sorted(CHECKS.entries(), key=_place)]


def asked_checks(names: Sequence[str]) -> list[Entry]:
    """The checks of these names; none is all of them, in the order in which they are made.

    Raises:
        UsageError: there is no such check.
    """
    known = check_names()
    for name in names:
        if name not in known:
            raise UsageError(f"there is no check '{name}'", remedy=suggestion(name, known))
    return [CHECKS.entry(name) for name in names or known]


def known_faults() -> dict[str, str]:
    """`FAULTS` with those of plugins: code -> what it means, in the order of causes.

    A check declares faults of its own with `faults={"too_dark": "the images are too dark"}`, and
    with `before="wrong_gradient"` where they stand: usually before the symptoms.

    Raises:
        ConfigError: a declaration is wrong.
    """
    found = list(FAULTS.items())
    for entry in CHECKS.entries():
        usual: Mapping[str, str] = {}
        own = _option(entry, "faults", usual, Mapping, "a mapping of codes to what they mean")
        before = _option(entry, "before", SYMPTOMS[0], str, "a fault")
        codes = [code for code, _ in found]
        if before not in codes:
            raise _wrong(entry, f"there is no fault '{before}'", suggestion(before, codes))
        at = codes.index(before)
        found[at:at] = [(code, meaning) for code, meaning in own.items() if code not in codes]
    return dict(found)


def _place(entry: Entry) -> tuple[float, str]:
    """A check that says nothing of its place comes last."""
    return _option(entry, "place", float("inf"), int | float, "a number"), entry.name


def _option(entry: Entry, name: str, usual: T, kind: Any, what: str) -> T:
    value: T = entry.options.get(name, usual)
    if not isinstance(value, kind):
        raise _wrong(entry, f"`{name}` of the check '{entry.name}' is not {what}", f"give {what}")
    return value


def _wrong(entry: Entry, message: str, remedy: str) -> ConfigError:
    return ConfigError(message, remedy=remedy, place=Place(str(entry.file), entry.line, 1))
