"""Mistakes in YAML: those that people make, and those that they would have to think of."""

from __future__ import annotations

import random
import re
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import yaml

VALUES = (
    *("null", "~", "", "-1", "0", "1", "2.0", "1.5", "1e308", "1e999", "-1e-320", "999999999999"),
    *("9" * 400, "0x1F", "0o17", "010", "1_000", "1e-3", "'1e-3'", "1,5", ".inf", "-.inf", ".nan"),
    *("yes", "no", "on", "True", "FALSE", "None", "true", "'true'", "12:30", "1:2:3", "2024-01-01"),
    *("''", "'x'", "\"\\0\"", "'a\\nb'", "[]", "{}", "[1, 2]", "[[1], 2]", "{a: 1}", "{1: 2}"),
    *("[null]", "['', 3]", "$width", "$nothing", "$", "$width * $width ** 9"),
    *("${width}", "$a // 0"),
    *("$(9*9)", "__import__('os')", "*a", "&a", "&a *a", "&a [*a]", "!x 1"),
    *("!!int 3", "!!python/none"),
    *("!!python/object/apply:os.system [x]", "!!binary aGk=", "!!set {a}", "|"),
    *("> x", "'", '"', "%x"),
    *("@x", "`x`", "? x", "- x", "x: y", "x #y", "#", "~/x", "$HOME/x"),
    *("C:\\new\\table", '"C:\\x"'),
    *("../../../etc/passwd", "/dev/zero", "/dev/stdin", ".", "..", "/", "a/b.yaml", "mutant.yaml"),
    *("\u00e9", "\u65e5\u672c", "\U0001f600", "\u202e", "\u00a0", "\ufeff"),
    *("\uff11", "\u2028", "relu"),
    *("x" * 5000, "[" * 80 + "]" * 80, "[" + "1, " * 3000 + "1]", "input", "conv1", "none", "auto"),
)  # fmt: skip
"""What may stand in the place of a value."""
LINES = (
    *("---", "...", "--- x", "%YAML 1.2", "%TAG ! tag:x,2000:", "\t", "\tx: 1"),
    *("<<: *a", "<<: {a: 1}"),
    *("x: &a [x, x]\ny: &b [*a, *a, *a]\nz: &c [*b, *b, *b]\nw: [*c, *c, *c]", "? [a]\n: b", "? a"),
    *("zzz: 1", "layers: []", "layers:", "data: &d {x: *d}"),
    *("name: &n x\nx: *n", "- x", "x", ": x"),
    *("null: 1", "1: 2", "true: 1", "'': 1", "a b: 1", "__class__: 1"),
    *("model_config: {}", "self: 1"),
    *("parameters: {lr: 1}", "from: input", "as: x", "repeat: 1000", "plugins: [x.py]", "!!x y: 1"),
    *("x: |\n  \u00a0", "key: 'a", 'key: "a', "key: [a", "key: {a"),
    *("\u00e9: 1", "\x00", "\x1b[31m"),
)  # fmt: skip
"""What may stand in a line of its own."""
SHORTEST = 2
"""Letters of a key in which one can be wrong, and be found."""


@dataclass(frozen=True)
class Word:
    """A key or value of a file: where it stands, and the keys that lead to it."""

    text: str
    start: int
    end: int
    path: tuple[str, ...]
    is_key: bool


def words(text: str) -> list[Word]:
    """The plain scalars of a document."""
    return list(_words(yaml.compose(text, yaml.SafeLoader), ()))


def _words(
    node: yaml.Node | None, path: tuple[str, ...], *, is_key: bool = False
) -> Iterator[Word]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield from _words(key, inner, is_key=True)
            yield from _words(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _words(item, (*path, "[]"))
    elif isinstance(node, yaml.ScalarNode) and node.style is None:
        yield Word(node.value, node.start_mark.index, node.end_mark.index, path, is_key)


def put(text: str, word: Word, new: str) -> str:
    """The text with something else in the place of a word."""
    return text[: word.start] + new + text[word.end :]


def misspelt(word: str, draw: random.Random) -> str:
    """One letter left out, doubled, put in, replaced or exchanged with the next."""
    at = draw.randrange(len(word))
    letter = draw.choice(string.ascii_lowercase)
    return draw.choice((
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + letter + word[at:],
        word[:at] + letter + word[at + 1 :],
        word[:at] + word[at : at + 2][::-1] + word[at + 2 :],
    ))  # fmt: skip


def _value(text: str, draw: random.Random) -> str:
    places = list(re.finditer(r"(?m)(?<=: )[^\s{\[#][^,}\]#\n]*", text))
    if not places:
        return text
    place = draw.choice(places)
    return text[: place.start()] + draw.choice(VALUES) + text[place.end() :]


def _word(text: str, draw: random.Random) -> str:
    """Any word, a key too, gets another value, or another word's."""
    found = _read(text)
    if not found:
        return text
    word = draw.choice(found)
    return put(text, word, draw.choice((draw.choice(VALUES), draw.choice(found).text)))


def _misspell(text: str, draw: random.Random) -> str:
    found = [word for word in _read(text) if len(word.text) >= SHORTEST]
    if not found:
        return text
    word = draw.choice(found)
    return put(text, word, misspelt(word.text, draw))


def _read(text: str) -> list[Word]:
    """The words of what may no longer be YAML."""
    try:
        return words(text)
    except (yaml.YAMLError, RecursionError):
        return []


def _line(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    match draw.randrange(5):
        case 0:
            del lines[one]
        case 1:
            lines.insert(other, lines[one])
        case 2:
            lines[one], lines[other] = lines[other], lines[one]
        case 3:
            lines[one] = draw.choice((" ", "  ", "\t", "- ", "#")) + lines[one]
        case _:
            lines[one] = re.sub(r"^( ?|- )", "", lines[one])
    return "".join(lines)


def _new_line(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True)
    at = draw.randrange(len(lines) + 1)
    indent = re.match(r" *", lines[min(at, len(lines) - 1)])
    assert indent is not None
    new = draw.choice(LINES).replace("\n", "\n" + indent[0])
    return "".join([*lines[:at], f"{indent[0]}{new}\n", *lines[at:]])


def _indent(text: str, draw: random.Random) -> str:
    """Some lines are indented more or less."""
    lines = text.splitlines(keepends=True)
    first = draw.randrange(len(lines))
    several = range(first, min(first + draw.randrange(1, 9), len(lines)))
    by = draw.choice((-2, -1, 1, 2, 4))
    for at in several:
        lines[at] = " " * by + lines[at] if by > 0 else re.sub(f"^ {{1,{-by}}}", "", lines[at])
    return "".join(lines)


def _character(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text))
    odd = "\u00a0\u2003\ufeff\u200b\uff1a\u2019\u2013\u201c\r\t\x00\x7f\x85\u2028\ud7ff"
    new = draw.choice(("", chr(draw.randrange(32, 127)), draw.choice(":{}[],#&*!|>'\"%@`-? \n"),
                       draw.choice(odd)))  # fmt: skip
    return text[:place] + new + text[place + draw.randrange(2) :]


def _cut(text: str, draw: random.Random) -> str:
    place = draw.randrange(len(text))
    return draw.choice((text[:place], text[place:]))


def _kind(text: str, draw: random.Random) -> str:
    """A list becomes a mapping, a mapping a list, braces brackets."""
    old, new = draw.choice(
        (
            ("- ", "  "),
            ("- ", "-"),
            (": ", ":"),
            ("{", "["),
            ("}", "]"),
            ("[", "{"),
            (", ", " "),
            (": ", " = "),
            ("$", ""),
            ("\n", "\r"),
        )
    )
    places = [found.start() for found in re.finditer(re.escape(old), text)]
    if not places:
        return text
    at = draw.choice(places)
    return text[:at] + new + text[at + len(old) :]


CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    _value, _word, _word, _misspell, _line, _new_line, _indent, _character, _cut, _kind,
)  # fmt: skip
"""What turns a text into one with a mistake in it."""


def as_bytes(text: str, draw: random.Random) -> bytes:
    """As an editor might have stored it, now and then in an encoding that is not UTF-8."""
    data = text.encode("utf-8", errors="surrogatepass")
    if draw.random() > 0.05:
        return data
    at = draw.randrange(len(data) + 1)
    return draw.choice((
        b"\xef\xbb\xbf" + data,
        text.encode("utf-16", errors="replace"),
        text.encode("latin-1", errors="replace") + b"# \xe9\n",
        data.replace(b"\n", b"\r\n"),
        data.replace(b"\n", b"\r"),
        data[:at] + bytes([draw.randrange(128, 256)]) + data[at:],
        data + b"#" * 1_000_000,
        b"",
        b"\n\n# nothing\n",
    ))  # fmt: skip
