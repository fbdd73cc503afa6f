"""A page in HTML as one file that needs nothing else: its style and its pictures are inside."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Literal

from cnntrain.core.escapes import in_html

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem;
       color: #222; background: #fff; overflow-wrap: anywhere }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-top: 1px solid #ddd;
     padding-top: 1rem } h3 { font-size: 1rem; margin-bottom: .3rem }
img { max-width: 100%; height: auto }
code { background: #eee; padding: 0 .2rem } .small { color: #666; font-size: .85rem }
"""

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""No script runs, and nothing is loaded from elsewhere, whatever a page should hold."""


def page(title: str, parts: Iterable[str], *, style: str = "") -> bytes:
    """A whole page, which opens in a browser, or on a telephone, without a network.

    Args:
        title: plain text; the heading, too.
        parts: HTML of the body, in order.
        style: CSS beyond that of every page.
    """
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{text(_POLICY)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{text(title)}</title><style>{_STYLE}{style}</style></head><body>"
    )
    return ("\n".join([head, f"<h1>{text(title)}</h1>", *parts, "</body></html>"]) + "\n").encode()


def text(plain: str) -> str:
    """Plain text as HTML, for attributes, too: names of files and classes are anybody's."""
    return in_html(plain, keep="\n\t")


def picture(content: bytes, *, alt: str, kind: Literal["png", "jpeg"] = "png") -> str:
    """An image file inside of the page; `alt` is plain text that says what it shows."""
    data = base64.b64encode(content).decode("ascii")
    return f'<img alt="{text(alt)}" src="data:image/{kind};base64,{data}">'
