"""A problem in a user's file: where it stands, what is wrong, what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A position in a text file; line and column count from 1, `source` is that line's text."""

    file: str
    line: int
    column: int
    source: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, with its place (if it has one) and its remedy."""

    message: str
    place: Place | None = None
    remedy: str = ""

    def render(self) -> str:
        """`file:14:7: message; remedy`, then the source line and a caret under the column."""
        text = f"{self.message}; {self.remedy}" if self.remedy else self.message
        if self.place is None:
            return text
        lines = [f"{self.place}: {text}"]
        if self.place.source.strip():
            shown = self.place.source.rstrip()[:160]
            lead = "".join("\t" if c == "\t" else " " for c in shown[: self.place.column - 1])
            lines += [f"    {shown}", f"    {lead}^"]
        return "\n".join(lines)


def halves(error: Exception, usual: str = "") -> tuple[str, str]:
    """Message and remedy of an error whose text is `message; remedy`; the usual one without."""
    message, _, remedy = str(error).partition("; ")
    return message, remedy or usual


def near_match(word: str, options: Iterable[str]) -> str | None:
    """The option that `word` most probably was meant to be, or None."""
    names = list(options)
    folded = {name.lower().replace("-", "_"): name for name in names}
    key = word.lower().replace("-", "_")
    if key in folded:
        return folded[key]
    found = difflib.get_close_matches(key, folded, n=1, cutoff=0.6)
    return folded[found[0]] if found else None


def suggestion(word: str, options: Iterable[str]) -> str:
    """A remedy for an unknown word: the near match, or the list to choose from."""
    names = list(options)
    near = near_match(word, names)
    if near is not None:
        return f"did you mean '{near}'?"
    return f"choose from {', '.join(names)}" if names else "there are none here: remove it"
