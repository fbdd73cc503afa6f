"""The glossary of CONTRIBUTING.md holds for README, CONTRIBUTING itself and the pages in docs.

Program output in fenced blocks without a language (or `console`) is left out: the messages of the
package follow the glossary later, and these blocks show them as they are. So are the tables of
docs/figures/planted_faults.md, which a script writes from messages.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", CONTRIBUTING, *ROOT.glob("docs/**/*.md")]
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


def breaches(text: str) -> list[str]:
    """`line: phrase` for each phrase of the glossary; a phrase may go over the end of a line."""
    found = []
    for phrase in glossary():
        words = r"\s+".join(map(re.escape, phrase.split()))
        for match in re.finditer(rf"\b{words}\b", text, re.IGNORECASE):
            found.append(f"{text.count(chr(10), 0, match.start()) + 1}: {phrase}")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_keeps_the_glossary(page: Path) -> None:
    text = prose(page.read_text("utf-8"))
    if page.name == "planted_faults.md":
        text = re.sub(r"^\|.*$", "", text, flags=re.MULTILINE)
    assert breaches(text) == []


def test_the_glossary_is_read_and_finds_what_it_forbids() -> None:
    assert len(glossary()) >= 15
    blocks = "```sh\nx  # tells\n```\nIt is Told.\n```\nleft over  none\n```\n"
    text = f"a\n{blocks}learn by\nheart; retold\n"
    assert breaches(prose(text)) == ["5: told", "3: tells", "9: by heart"]
