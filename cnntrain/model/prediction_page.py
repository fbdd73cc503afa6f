"""What images are taken for, as a page with a small copy of each, the least certain first."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from cnntrain.core.kinds import Bits
from cnntrain.data.decode import UnreadableImageError, decode, in_threads
from cnntrain.data.left_out import LeftOut, summaries
from cnntrain.model.predict import Prediction
from cnntrain.show.page import page, picture, text
from cnntrain.show.progress import bar
from cnntrain.show.words import counted

_STYLE = """
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.5rem, 1fr)); gap: .8rem }
figure { margin: 0 } figcaption { font-size: .8rem; line-height: 1.3 }
figure img { width: 100%; height: 8.5rem; object-fit: contain; background: #f4f4f4 }
"""
MOST = 500
"""Pictures on a page; at 160 pixels each a few megabytes in all."""
SIDE = 160
"""Pixels of the longer side of a picture."""


def prediction_page(
    groups: Sequence[tuple[str, Sequence[Prediction]]],
    *,
    title: str,
    unread: Sequence[Prediction] = (),
    left_out: Sequence[LeftOut] = (),
    bits: Bits = "auto",
    most: int = MOST,
) -> bytes:
    """A page with a part for each answer, in which the least certain images come first.

    Args:
        groups: answers, such as classes, with their images; those without are not shown.
        title: of the page.
        unread: images that could not be read; they are listed.
        left_out: files that are no images; they are listed.
        bits: of 16-bit files, see `cnntrain.data.depth`.
        most: so many pictures in all; larger groups show the least certain of their images.
    """
    groups = [(name, group) for name, group in groups if group]
    shares = fair_shares([len(group) for _, group in groups], most)
    total = sum(len(group) for _, group in groups)
    parts = [f"<p>{counted(total, 'image')}; the least certain come first.</p>"]
    if sum(shares) < total:
        parts.append(
            f"<p>{sum(shares):,} are shown, the least certain ones of each answer; "
            f"{total - sum(shares):,} are not.</p>"
        )
    with bar("pictures", total=sum(shares)) as progress:
        for (name, group), share in zip(groups, shares, strict=True):
            some = sorted(group, key=lambda p: p.probability or 0.0)[:share]
            count = counted(len(group), "image")
            fewer = f", {share:,} shown" if share < len(group) else ""
            heading = f'{text(name)} <span class="small">{count}{fewer}</span>'
            parts.append(f'<h2>{heading}</h2><div class="tiles">')
            for prediction, small in zip(
                some, in_threads(partial(_small, bits), some), strict=True
            ):
                parts.append(_tile(prediction, small))
                progress.update()
            parts.append("</div>")
    if unread:
        rows = (f"<li>{text(p.name)}: {text(p.error)}</li>" for p in unread)
        parts += ["<h2>Images that cannot be read</h2><ul>", *rows, "</ul>"]
    if left_out:
        rows = (f"<li>{text(line)}</li>" for line in summaries(left_out))
        parts += ["<h2>Files that are left out</h2><ul>", *rows, "</ul>"]
    return page(title, parts, style=_STYLE)


def fair_shares(sizes: Sequence[int], total: int) -> list[int]:
    """How many of each group, `total` at most: all of small ones, of the others as many each."""
    shares, left = [0] * len(sizes), total
    order = sorted(range(len(sizes)), key=lambda number: sizes[number])
    for place, number in enumerate(order):
        shares[number] = min(sizes[number], left // (len(order) - place))
        left -= shares[number]
    return shares


def _small(bits: Bits, prediction: Prediction) -> bytes | None:
    """The image as a small JPEG file; None where it can no longer be read."""
    try:
        reduction = partial(_factor, SIDE)
        image = decode(Path(prediction.name), channels=3, bits=bits, reduction=reduction)
    except UnreadableImageError:
        return None
    image.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80)
    return file.getvalue()


def _factor(side: int, size: tuple[int, int]) -> float:
    return max(size) / side


def _tile(prediction: Prediction, small: bytes | None) -> str:
    shown = "" if small is None else picture(small, alt=prediction.name, kind="jpeg")
    ranking = ", ".join(f"{name} {share:.1%}" for name, share in prediction.ranking[:2])
    caption = f"<b>{text(ranking)}</b><br>{text(prediction.name)}"
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"
