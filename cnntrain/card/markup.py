"""Pieces of the card in HTML: sentences, tables, images, the style."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image

from cnntrain.show.page import picture, text
from cnntrain.show.pixels import Pixels

_CRISP, _LARGE = 64, 192
"""Pixels: up to which sides images keep each of theirs, and to which larger ones are reduced."""

STYLE = """
:root { color-scheme: light dark; --ink: #1d2530; --soft: #566170; --line: #d9dee5; --ground: #fff;
  --panel: #f5f7f9; --a: #1f6fb4; --b: #b4450c; --right: 31 111 180; --wrong: 200 60 20 }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #a3aebb; --line: #39424d;
  --ground: #14181d; --panel: #1d232a; --a: #6db3f2; --b: #f2995c; --right: 80 150 225;
  --wrong: 230 100 50 } }
* { box-sizing: border-box }
body { margin: 0 auto; max-width: 64rem; padding: 1.5rem 1rem 4rem; background: var(--ground);
  color: var(--ink); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif;
  overflow-wrap: anywhere }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 .4rem }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .6rem; padding-top: 1.1rem;
  border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.4rem 0 .4rem }
p, ul { margin: .5rem 0; max-width: 46rem } li { margin: .25rem 0 }
.lead { font-size: 1.15rem; margin: 0 0 1rem } .soft, figcaption { color: var(--soft) }
.soft { font-size: .9rem } nav { font-size: .9rem } nav a { margin-right: .9rem }
a { color: var(--a) } code { background: none; padding: 0 }
code, pre { font: .86em/1.5 ui-monospace, Menlo, Consolas, monospace }
pre { background: var(--panel); padding: .8rem 1rem; border-radius: .4rem; margin: .5rem 0;
  white-space: pre; overflow-wrap: normal }
.scroll { overflow: auto; max-width: 100%; max-height: 40rem;  /* shadows where there is more */
  background: linear-gradient(90deg, var(--ground) 40%, #0000) 0 0 / 2.5rem 100% no-repeat local,
    linear-gradient(270deg, var(--ground) 40%, #0000) 100% 0 / 2.5rem 100% no-repeat local,
    linear-gradient(0deg, var(--ground) 40%, #0000) 0 100% / 100% 2.5rem no-repeat local,
    linear-gradient(90deg, #8888, #0000) 0 0 / .7rem 100% no-repeat,
    linear-gradient(270deg, #8888, #0000) 100% 0 / .7rem 100% no-repeat,
    linear-gradient(0deg, #8888, #0000) 0 100% / 100% .7rem no-repeat }
.code { max-height: none; background: none }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal }
th { font-weight: 600; text-align: left }
th, td { padding: .25rem .7rem; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child { padding-left: 0 } .n { text-align: right }
.wrap td { white-space: normal; overflow-wrap: anywhere } .wrap th { vertical-align: top }
.sum tr:last-child > * { font-weight: 600 }
.figures { display: flex; flex-wrap: wrap; gap: .6rem 2.2rem; margin: 1rem 0; padding: 0 }
.figures div { min-width: 6rem }
.figures strong { display: block; font-size: 1.35rem; line-height: 1.3 }
.charts { display: grid; gap: 1.2rem; grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)) }
figure { margin: 0 } figcaption { font-size: .85rem; line-height: 1.35 }
svg { display: block; max-width: 100%; height: auto; font: 11px system-ui, sans-serif }
svg text { fill: var(--soft) } svg .strong { fill: var(--ink) } .grid { stroke: var(--line) }
.l { fill: none; stroke-width: 2 } .a { stroke: var(--a) } .b { stroke: var(--b) }
.b.l { stroke-dasharray: 5 3 } .fa { fill: var(--a) } .fb { fill: var(--b) }
  .box { fill: var(--panel);
  stroke: var(--soft) }
.key { display: inline-block; width: 1.5rem; height: 0; margin: 0 .35rem 0 0;
  vertical-align: middle; border-top: 2px solid var(--a) }
.key.b { border-top: 2px dashed var(--b) }
.photos { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(132px, 1fr)) }
.photos img { width: 100%; aspect-ratio: 1; object-fit: contain; background: var(--panel);
  border-radius: .3rem } img { display: block; max-width: 100% }
.tiles { max-width: 100% } .tiles img { width: 100% }
img[src^="data:image/png"] { image-rendering: pixelated }
.confusion td { text-align: right; padding: .2rem .35rem;
  min-width: 1.9rem; border: 1px solid var(--line) }
.confusion .down { writing-mode: vertical-rl; transform: rotate(180deg); padding: .3rem .1rem;
  border: 0; vertical-align: top; text-align: left }
.bar { display: inline-block; width: 4.5rem; height: .55rem; margin-left: .5rem;
  background: var(--panel) } .bar span { display: block; height: 100%; background: var(--a) }
.note { border-left: 4px solid var(--b); background: var(--panel); padding: .5rem .9rem }
@media (max-width: 40rem) { .bar { display: none } th, td { padding: .25rem .45rem } }
@media print { :root { color-scheme: light } .scroll { max-height: none; overflow: visible }
  nav { display: none } body { font-size: 11px; max-width: none; padding: 0 }
  pre { white-space: pre-wrap } figure, tr { break-inside: avoid } h2, h3 { break-after: avoid } }
"""


def sentence(words: str) -> str:
    """Plain text; what stands in backquotes is code, and no line ends before a percent sign."""
    found = re.sub("`([^`]+)`", r"<code>\1</code>", text(words))
    return found.replace(" %", "&nbsp;%")


def paragraph(words: str, kind: str = "") -> str:
    """A sentence or two; `kind` is a class of the style."""
    return f'<p class="{kind}">{sentence(words)}</p>'


def items(sentences: Iterable[str]) -> str:
    """A list of sentences."""
    return "<ul>" + "".join(f"<li>{sentence(each)}</li>" for each in sentences) + "</ul>"


def scrolled(content: str, label: str, kind: str = "") -> str:
    """What is wider or higher than the page scrolls in a box of its own, by the keyboard too."""
    attributes = f'role="region" tabindex="0" aria-label="{text(label)}"'
    return f'<div class="scroll {kind}" {attributes}>{content}</div>'


def code(lines: str, label: str) -> str:
    """Text as it is."""
    return scrolled(f"<pre><code>{text(lines)}</code></pre>", label, "code")


def table(
    rows: Sequence[Sequence[str]], *, label: str, words: int = 1, bar: int = 0, kind: str = ""
) -> str:
    """Rows of text, the first as the head and each row's first cell as its heading.

    Args:
        rows: of cells, all of the same length.
        label: what it shows, for whoever cannot see it.
        words: so many columns are flush left, the others flush right.
        bar: a column of percentages that are drawn, too.
        kind: a class of the style; of `sum` the last row is bold.
    """
    kinds = ["" if i < words else ' class="n"' for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [text(cell) + (_bar(cell) if i and i == bar else "") for i, cell in enumerate(row)]
        tags = ['th scope="col"'] * len(row) if number == 0 else ['th scope="row"']
        tags += ["td"] * (len(row) - len(tags))
        inner = (f"<{t}{k}>{c}</{t[:2]}>" for t, k, c in zip(tags, kinds, cells, strict=True))
        lines.append(f"<tr>{''.join(inner)}</tr>")
    return scrolled(f'<table class="{kind}">{"".join(lines)}</table>', label)


def pairs(rows: Iterable[tuple[str, str]], *, label: str) -> str:
    """Facts by name."""
    lines = (f'<tr><th scope="row">{text(k)}</th><td>{text(v)}</td></tr>' for k, v in rows)
    return scrolled(f'<table class="wrap">{"".join(lines)}</table>', label)


def _bar(cell: str) -> str:
    share = cell.removesuffix(" %")
    if share == cell:
        return ""
    return f'<span class="bar" aria-hidden="true"><span style="width:{share}%"></span></span>'


def photos(pixels: Pixels, named: Iterable[tuple[str, Sequence[str]]]) -> str:
    """Images (N, H, W, 3) from 0 to 1: what each shows, and its lines of text below."""
    shown = []
    for each, (alt, lines) in zip(pixels, named, strict=True):
        caption = "<br>".join(map(sentence, lines))
        shown.append(f"<figure>{image(each, alt)}<figcaption>{caption}</figcaption></figure>")
    return f'<div class="photos">{"".join(shown)}</div>'


def image(pixels: Pixels, alt: str) -> str:
    """An image (H, W, 3), or (H, W, 4) with its opacity, from 0 to 1.

    A small one keeps each of its pixels; a large one becomes a smaller JPEG.
    """
    drawn, made = Image.fromarray((255 * pixels).round().astype(np.uint8)), io.BytesIO()
    if max(drawn.size) <= _CRISP or drawn.mode == "RGBA":
        drawn.save(made, format="png", optimize=True)
        return picture(made.getvalue(), alt=alt)
    drawn.thumbnail((_LARGE, _LARGE))
    drawn.save(made, format="jpeg", quality=85)
    return picture(made.getvalue(), alt=alt, kind="jpeg")
