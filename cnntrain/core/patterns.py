"""Shell patterns over dotted names, of layers with all that is in them and of parameters.

And patterns of file names that have the class in them.
"""

from __future__ import annotations

import re
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


def name_expression(pattern: str) -> re.Pattern[str]:
    """Of `CLASS_*.jpg`, or of a regular expression with one group, or with one called class.

    Raises:
        ValueError: it is neither; the text says what it should be.
    """
    if "CLASS" in pattern and "(" not in pattern:
        marks = {"CLASS": "(?P<class>[^/]+)", "*": "[^/]*", "?": "[^/]"}
        parts = re.split(r"(CLASS|[*?])", pattern)
        pattern = "".join(marks.get(part, re.escape(part)) for part in parts)
    try:
        expression = re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"CLASS_* or the like, or a regular expression ({error})") from error
    if "class" not in expression.groupindex and expression.groups != 1:
        raise ValueError("a pattern that says where the class is: CLASS_*, or ([a-z]+)_.*")
    return expression
