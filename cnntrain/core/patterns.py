"""Shell patterns over dotted names, of layers with all that is in them and of parameters."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from functools import lru_cache


def around(name: str) -> list[str]:
    """A dotted name and those of all modules that it is in; the outermost one's is empty."""
    parts = name.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) + 1)]


@lru_cache(maxsize=2**16)  # asked for each name and pattern in every epoch
def covers(pattern: str, name: str) -> bool:
    """Whether a pattern matches a name, or one of the modules that it is in.

    `features.*` and `features` both cover `features.conv1.weight`; case matters.

    Args:
        pattern: `*` is any text, dots included; `?` a character; `[..]` one of those.
        name: of a parameter or a module.
    """
    return any(fnmatchcase(each, pattern) for each in around(name))


def covered(patterns: Iterable[str], name: str) -> bool:
    """Whether any of the patterns covers the name."""
    return any(covers(pattern, name) for pattern in patterns)
