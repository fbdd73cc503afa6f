"""A problem in a user's file: where it stands, what is wrong, what to do about it."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import takewhile

from rich.cells import cell_len

from cnntrain.core.escapes import escaped


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
        text = escaped(f"{self.message}; {self.remedy}" if self.remedy else self.message)
        if self.place is None:
            return text
        lines = [f"{escaped(str(self.place))}: {text}"]
        if self.place.source.strip():
            shown = self.place.source.rstrip()[:160]
            before = escaped(shown[: self.place.column - 1], keep="\t").split("\t")
            lead = "\t".join(" " * cell_len(part) for part in before)
            lines += [f"    {escaped(shown, keep=chr(9))}", f"    {lead}^"]
        return "\n".join(lines)


def halves(error: Exception, usual: str = "") -> tuple[str, str]:
    """Message and remedy of an error whose text is `message; remedy`; the usual one without."""
    message, _, remedy = str(error).partition("; ")
    return message, remedy or usual


def near_match(word: str, options: Iterable[str], *, taken: Collection[str] = ()) -> str | None:
    """The option that `word` most probably was meant to be, or None; rather none that is taken."""
    names = list(options)
    free = _near_match(word, [name for name in names if name not in taken])
    found = _near_match(word, names)
    is_slip = found is not None and free is not None and _is_slip(word, found)
    return found if is_slip and not _is_slip(word, free or "") else free or found


_SYNONYMS = {
    "convolution": "conv", "dense": "linear", "fc": "linear", "fully_connected": "linear",
    "bn": "batch_norm",
    "learning_rate": "lr", "type": "name", "eps": "epsilon", "val": "validation",
    "out_channels": "out", "out_features": "out", "step_size": "every", "gamma": "factor",
    "augmentation": "transforms", "augmentations": "transforms",
    "fp16": "float16", "bf16": "bfloat16", "fp32": "float32",
}  # fmt: skip
"""Other programs' words, and ours."""


def _near_match(word: str, names: Iterable[str]) -> str | None:
    folded = {name.lower().replace("-", "_"): name for name in names}
    key = word.lower().replace("-", "_")
    if key in folded:
        return folded[key]
    if _SYNONYMS.get(key) in folded:
        return folded[_SYNONYMS[key]]
    slips = [name for name in folded if _is_slip(key, name)]
    found = difflib.get_close_matches(key, slips or folded, n=1, cutoff=0.0 if slips else 0.6)
    return folded[found[0]] if found else None


def _is_slip(word: str, name: str) -> bool:
    """Whether one letter is wrong, missing or too many, or two are exchanged; another is right."""
    start = same_letters(word, name)
    one, other = word[start:], name[start:]
    end = same_letters(one[::-1], other[::-1])
    one, other = one[: len(one) - end], other[: len(other) - end]
    is_exchange = len(one) == 2 and one == other[::-1]
    return is_exchange or (start + end > 0 and max(len(one), len(other)) <= 1)


def same_letters(one: str, other: str) -> int:
    """How many letters at their beginning are the same."""
    pairs = zip(one, other, strict=False)
    return len(list(takewhile(lambda pair: pair[0] == pair[1], pairs)))


def suggestion(word: str, options: Iterable[str], *, taken: Collection[str] = ()) -> str:
    """A remedy for an unknown word: the near match, or the list to choose from."""
    names = list(options)
    near = near_match(word, names, taken=taken)
    if near is not None:
        return f"did you mean '{near}'?"
    return f"choose from {', '.join(names)}" if names else "there are none here: remove it"
