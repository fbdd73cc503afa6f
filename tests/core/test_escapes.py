"""Each form of output is read back by its own reader: the name is there, and nothing else is."""

from __future__ import annotations

import csv
import html
import io
import json
import re
import sys
import unicodedata
from html.parser import HTMLParser

import markdown
import pytest
import yaml

from cnntrain.config.resolved import dump_yaml
from cnntrain.core.document import parse_document
from cnntrain.core.escapes import (
    breaks_lines,
    escaped,
    in_csv,
    in_dot,
    in_html,
    in_json,
    in_markdown,
    in_mermaid,
)
from cnntrain.show.tables import markdown as markdown_table

NAMES = (
    "\x1b[2J\x1b]0;title\x07", "c1\x9b31m", "two\nlines", "tab\tand\rreturn", "bidi\u202egnp.exe",
    "isolate\u2066x\u2069", "zero\u200bwidth\ufeff", "tag\U000e0041", "not text \udcff",
    "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)", "a;=1+1", "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>", "\"'&amp;&#x27;", "a|b", "[x](javascript:alert(1))",
    "![x](http://a/b.png)", "`code`*bold*", "back\\slash\\", "$\\frac{", "%%{init: {}}%%",
    "n1\"] --> n2[\"", "${HOME}$(id)", "#quot;", "end", "",
)  # fmt: skip


def test_all_that_is_not_seen_or_moves_the_cursor_is_written_out() -> None:
    # by Unicode's own categories; the joiners have a meaning, and some signs of Arabic are seen
    seen = {
        "\u200c",
        "\u200d",
        *map(chr, (*range(0x600, 0x606), 0x6DD, 0x70F, 0x8E2, 0x890, 0x891)),
    }
    for letter in map(chr, range(sys.maxunicode + 1)):
        kind = unicodedata.category(letter)
        if kind in ("Cc", "Cs", "Zl", "Zp") or (kind == "Cf" and ord(letter) < 0xFFFF):
            assert letter in seen or escaped(letter).startswith("\\"), hex(ord(letter))
        elif kind not in ("Cf", "Cn"):
            assert escaped(letter) == letter, hex(ord(letter))
    assert escaped("a\x1b[31mb\nc\td\x9be\u202ef") == "a\\x1b[31mb\\nc\\td\\x9be\\u202ef"
    assert escaped("a\nb\tc\x07", keep="\n\t") == "a\nb\tc\\x07"
    assert escaped("caf\u00e9 \u72ac \u00a0 \U0001f469\u200d\U0001f33e") == (
        "caf\u00e9 \u72ac \u00a0 \U0001f469\u200d\U0001f33e"
    )
    assert escaped(b"\xff.png".decode("utf-8", "surrogateescape")) == "\\udcff.png"


def test_what_no_line_can_hold() -> None:
    broken = [name for name in NAMES if breaks_lines(name)]
    assert broken == [NAMES[i] for i in (0, 1, 2, 3, 8)]


@pytest.mark.parametrize("name", NAMES)
def test_json_and_yaml_mean_the_same(name: str) -> None:
    text = in_json(json.dumps({name: [name]}, ensure_ascii=False, indent=1))
    assert json.loads(text) == {name: [name]}
    assert escaped(text, keep="\n") == text
    text = dump_yaml({"name": name})
    assert escaped(text, keep="\n") == text
    assert yaml.safe_load(text) == {"name": name}
    assert parse_document(text, name="x").data == {"name": name}


@pytest.mark.parametrize("name", NAMES)
def test_cells_of_csv(name: str) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([in_csv(name), "next"])
    [[cell, _]] = csv.reader(io.StringIO(text.getvalue()))
    assert not any(part.startswith(tuple("=+-@\t\r")) for part in cell.split(";"))
    assert cell.replace("'", "") == escaped(name).replace("'", "")


def test_numbers_are_no_formulas() -> None:
    numbers = [f"{value:.7g}" for value in (-1.5, -2e-12, -3, 0.25, -1e20)]
    assert [in_csv(number) for number in numbers] == numbers
    assert [in_csv(cell) for cell in ("-1+1", "-", "=1", "+1", "\uff1d1")] == [
        "'-1+1", "'-", "'=1", "'+1", "'\uff1d1",
    ]  # fmt: skip


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.values: list[str | None] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def _read(page: str) -> _Reader:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return reader


@pytest.mark.parametrize("name", NAMES)
def test_html(name: str) -> None:
    found = _read(f'<p id="{in_html(name)}">{in_html(name)}</p>')
    assert (found.tags, found.values) == (["p"], [escaped(name)])
    assert found.text == escaped(name)


@pytest.mark.parametrize("name", NAMES)
def test_markdown(name: str) -> None:
    # as TensorBoard's server reads it
    text = markdown_table([("class", "images"), (name, "7")])
    page = markdown.markdown(text, extensions=["tables"])
    found = _read(page)
    assert set(found.tags) == {"table", "thead", "tbody", "tr", "th", "td"}, page
    assert found.text.split("\n")[-6:].count("7") == 1, "no more columns, and no more rows"
    line = _read(markdown.markdown(f"said: {in_markdown(name)}"))
    assert line.tags == ["p"]
    assert line.text == f"said: {escaped(name)}"


@pytest.mark.parametrize("name", NAMES)
def test_labels_of_graphs(name: str) -> None:
    label = in_dot(name, "8x8")
    assert re.fullmatch(r'"([^"\\\n]|\\["\\n])*"', label), label
    lines = [
        re.sub(r"\\(.)", r"\1", line) for line in re.split(r"(?<!\\)(?:\\\\)*\\n", label[1:-1])
    ]
    assert html.unescape(lines[-1]) == "8x8"
    if "\\" not in escaped(name):
        assert html.unescape(lines[0]) == escaped(name)
    label = in_mermaid(name, "8x8")
    assert re.fullmatch(r'"(<br>|#\d+;|[\w .,:/+()-])*"', label), label
    numbers = re.sub(r"#(\d+);", lambda found: chr(int(found[1])), label[1:-1])
    assert numbers == f"{escaped(name)}<br>8x8"
