"""Shell patterns over dotted names, of layers with all that is in them and of parameters."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase


def covers(pattern: str, name: str) -> bool:
    """Whether a pattern matches a name, or one of the modules that it is in.

    `features.*` and `features` both cover `features.conv1.weight`; case matters.

    Args:
        pattern: `*` is any text, dots included; `?` a character; `[..]` one of those.
        name: of a parameter or a module.
    """
    parts = name.split(".")
    around = (".".join(parts[:length]) for length in range(1, len(parts) + 1))
    return any(fnmatchcase(each, pattern) for each in around)


def covered(patterns: Iterable[str], name: str) -> bool:
    """Whether any of the patterns covers the name."""
    return any(covers(pattern, name) for pattern in patterns)
