"""Names that may be anybody's, made harmless: one function for each form of output.

Names of files, classes, layers and runs, and what files of weights say, come from strangers. None
of them may move a terminal's cursor, begin a line, a cell, a tag or a formula, or end a label.
"""

from __future__ import annotations

import re
import unicodedata

_UNSEEN = frozenset((
    *range(32), *range(127, 160), 0xAD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F,
    *range(0x2028, 0x202F), *range(0x2060, 0x2070), *range(0xD800, 0xE000), 0xFEFF,
    *range(0xFFF9, 0xFFFC), *range(0xE0000, 0xE0080),
))  # fmt: skip
_HTML = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#x27;"}
_IN_HTML = str.maketrans(_HTML)
_IN_MARKDOWN = {
    **str.maketrans({letter: _HTML[letter] for letter in "&<>"}),
    **str.maketrans({letter: f"\\{letter}" for letter in "\\`*[]"}),
    ord("|"): "&#124;",  # a backslash before it is only read in tables
}
_FORMULA = re.compile(r"(?:^|(?<=;))(?=[=+\-@\t\r＝＋－＠])")  # noqa: RUF001  # full width, too
_NUMBER = re.compile(r"-\d+(\.\d+)?(e[-+]\d+)?")


def escaped(text: str, *, keep: str = "") -> str:
    """The text with what a terminal would obey, or nobody would see, written out: `\\x1b`, `\\n`.

    These are control characters, line separators, marks of direction, characters without a width
    and bytes of a file's name that are no text. The two joiners stay: Persian and emoji need them.
    So does what `keep` names, such as the newlines between lines.
    """
    if text.isprintable():
        return text
    codes = {ord(letter) for letter in text if letter not in keep} & _UNSEEN
    return text.translate({code: _form(code) for code in codes})


def _form(code: int) -> str:
    short = {9: "\\t", 10: "\\n", 13: "\\r"}.get(code)
    long = f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
    return short or (f"\\x{code:02x}" if code < 256 else long)


def _json_form(code: int) -> str:
    units = chr(code).encode("utf-16-be", "surrogatepass").hex()
    return re.sub("....", r"\\u\g<0>", units)


def breaks_lines(name: str) -> bool:
    """Whether a name has a control character, a line's end, or bytes that are no text."""
    return any(unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp") for letter in name)


def in_json(text: str) -> str:
    """JSON in which the same characters are written out inside of strings; it means the same."""
    if text.isprintable():
        return text
    codes = {code for code in map(ord, text) if code >= 32} & _UNSEEN  # lines end, as JSON's do
    return text.translate({code: _json_form(code) for code in codes})


def in_csv(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula, after a semicolon either: `'=1+1`."""
    return escaped(cell if _NUMBER.fullmatch(cell) else _FORMULA.sub("'", cell))


def in_html(text: str, *, keep: str = "") -> str:
    """Text between tags, or a value in quotes; `keep` as in `escaped`."""
    return escaped(text, keep=keep).translate(_IN_HTML)


def in_markdown(text: str) -> str:
    """Text of a line or a cell, without links, images and tags."""
    return escaped(text).translate(_IN_MARKDOWN)


def in_dot(*lines: str) -> str:
    """A label in Graphviz's language, in its quotes."""
    texts = (escaped(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(text.replace("&", "&amp;") for text in texts) + '"'


def in_mermaid(*lines: str) -> str:
    """A label in Mermaid's language, in its quotes: all but letters and common signs by number."""
    return '"' + "<br>".join(
        re.sub(r"[^\w .,:/+()-]", lambda sign: f"#{ord(sign[0])};", escaped(line)) for line in lines
    ) + '"'  # fmt: skip
