"""The glossary of CONTRIBUTING.md holds for the pages and for the texts in the code.

Of pages, program output in fenced blocks without a language (or `console`) is left out, and so are
the tables of docs/figures/planted_faults.md and drawn_faults.md, which scripts write. Of code,
docstrings, comments and string literals are read: names of things are not.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", CONTRIBUTING, *ROOT.glob("docs/**/*.md")]
SCRIPTS = [file for file in ROOT.glob("scripts/**/*") if file.is_file() and file.suffix != ".pyc"]
PYTHON = [
    *ROOT.glob("cnntrain/**/*.py"),
    *(file for file in SCRIPTS if re.match(r"#!.*python|\"\"\"", file.read_text("utf-8"))),
]
COMMENTED = [*ROOT.glob("configs/**/*.yaml"), *(file for file in SCRIPTS if file not in PYTHON)]
TABLE = re.compile(r"\| not \| but \|\n\|---\|---\|\n((?:\|.*\|\n)+)")
FENCED = re.compile(r"^```(\w*)\n.*?^```$", re.MULTILINE | re.DOTALL)


def glossary() -> list[str]:
    """The words and phrases of the left column."""
    [rows] = TABLE.findall(CONTRIBUTING.read_text("utf-8"))
    return [word for row in rows.splitlines() for word in row.split("|")[1].strip().split(", ")]


def prose(text: str) -> str:
    """A page without its glossary and without what programs print; the number of lines stays."""

    def blank(found: re.Match[str]) -> str:
        return "\n" * found[0].count("\n")

    def kept(found: re.Match[str]) -> str:
        return blank(found) if found[1] in ("", "console") else found[0]

    return FENCED.sub(kept, TABLE.sub(blank, text))


def texts(source: str) -> str:
    """The comments and string literals of Python code, each at its line; of f-strings the text."""
    found = [
        (token.start[0], token.string)
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    ]
    found += [
        (node.lineno, node.value)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return at_lines(found)


def comments(source: str) -> str:
    """What follows a `#` in YAML and in shell scripts."""
    lines = enumerate(source.splitlines(), start=1)
    return at_lines([(number, line[line.index("#") :]) for number, line in lines if "#" in line])


def at_lines(found: list[tuple[int, str]]) -> str:
    """Texts below each other, those that begin at a line in it where there is room."""
    text = ""
    for number, part in sorted(found):
        text += "\n" * max(number - 1 - text.count("\n"), 0) + " " + part
    return text


def breaches(text: str) -> list[str]:
    """`line: phrase` for each phrase of the glossary; a phrase may go over the end of a line.

    "There is no file" says something else than "is no file", and is good English; an option keeps
    its earlier name.
    """
    found = []
    for phrase in glossary():
        words = r"\s+".join(map(re.escape, phrase.split()))
        for match in re.finditer(rf"(?<!\bthere )(?<!--)\b{words}\b", text, re.IGNORECASE):
            found.append(f"{text.count(chr(10), 0, match.start()) + 1}: {phrase}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_keeps_the_glossary(page: Path) -> None:
    text = prose(page.read_text("utf-8"))
    if page.name in ("planted_faults.md", "drawn_faults.md"):
        text = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    assert breaches(text) == []


def test_the_code_keeps_the_glossary() -> None:
    """With the comments of scripts and of the shipped files; one test, because most are short."""
    parts = [(file, texts) for file in PYTHON] + [(file, comments) for file in COMMENTED]
    assert len(parts) > 400
    wrong = [
        f"{file.relative_to(ROOT)}:{breach}"
        for file, read in parts
        for breach in breaches(read(file.read_text("utf-8")))
    ]
    assert wrong == []


def test_the_glossary_is_read_and_finds_what_it_forbids() -> None:
    assert len(glossary()) >= 15
    blocks = "```sh\nx  # tells\n```\nIt is Told.\n```\nleft over  none\n```\n"
    text = f"a\n{blocks}learn by\nheart; retold\n"
    assert breaches(prose(text)) == ["5: told", "3: tells", "9: by heart"]


def test_texts_of_code_are_read_and_its_names_are_not() -> None:
    code = 'told = 1  # likewise\n"""It\ntells."""\nx = f"anew {told}"\ny = "there is no file"\n'
    assert breaches(texts(code)) == ["3: tells", "4: anew", "1: likewise"]
    assert breaches(comments("told: 1\nb: 2  # it is no valid one\n")) == ["2: is no valid"]
