"""Pages of HTML: names that are anybody's stay text, and pictures are inside."""

from __future__ import annotations

import base64
from html.parser import HTMLParser

from cnntrain.show.page import page, picture, text

NAME = "</title><script>\"'&\x1b\udcff"


class _Parser(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_names_stay_text() -> None:
    parser = _Parser()
    whole = page(NAME, [f"<p>{text(NAME)}</p>", picture(b"bytes", alt=NAME)], style="p { top: 0 }")
    parser.feed(whole.decode())
    assert "script" not in [tag for tag, _ in parser.tags]
    # what a terminal would obey, and a byte that is no text, are written out
    assert parser.words.count("</title><script>\"'&\\x1b\\udcff") == 3
    image = dict(parser.tags)["img"]
    assert image["alt"] == "</title><script>\"'&\\x1b\\udcff"
    assert image["src"] == "data:image/png;base64," + base64.b64encode(b"bytes").decode()


def test_it_needs_nothing_else() -> None:
    whole = page("A page", ["<p>text</p>"]).decode()
    assert whole.startswith("<!doctype html>\n")
    assert 'name="viewport" content="width=device-width' in whole
    assert "://" not in whole
    assert whole.count("A page") == 2
