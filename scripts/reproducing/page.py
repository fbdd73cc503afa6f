"""The tables of docs/reproduction.md."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from cnntrain.show.words import listed
from reproducing.part import Part, Row

Results = Mapping[str, Mapping[int, Mapping[str, Any]]]
"""Of each row and seed what `train` gives."""


def write_part(page: Path, name: str, part: Part, results: Results) -> None:
    """Put a table between its two marks of a page."""
    begin, end = f"<!-- {name} -->", f"<!-- end {name} -->"
    before, mark, rest = page.read_text("utf-8").partition(begin)
    _, closing, after = rest.partition(end)
    if not (mark and closing):
        raise SystemExit(f"{page} has no `{begin}` and `{end}`")
    text = "\n".join(table(name, part, results))
    page.write_text(f"{before}{begin}\n\n{text}\n\n{end}{after}", "utf-8")


def copy_pictures(page: Path, part: Part, folder: Path) -> None:
    """Put the pictures of a part next to its page, in 256 colours: half the size."""
    for name, source in part.pictures.items():
        with Image.open(folder / source) as picture:
            picture.convert("RGB").quantize(256).save(page.parent / "figures" / name, optimize=True)


def table(name: str, part: Part, results: Results) -> Iterator[str]:
    """The lines of a table, and what it was made with."""
    heads = ["", part.compared, *(f"{figure}: median (range)" for figure in part.figures)]
    yield f"| {' | '.join([*heads, 'reached', 'epochs', 'CPU time'])} |"
    yield f"|{'---|' * 2}{'--:|' * len(part.figures)}---|--:|--:|"
    for row in part.rows:
        yield f"| {' | '.join(_cells(part, row, list(results[row.name].values())))} |"
    seeds = sorted(next(iter(results.values())))
    found = [result for row in results.values() for result in row.values()]
    machine = found[-1]["machine"]
    dates = sorted({result["date"] for result in found})
    yield ""
    yield (
        f"`scripts/reproduce {name}{' --data DIR' if part.data else ''}{_seeds(seeds)}`, "
        f"seed{'s' if len(seeds) > 1 else ''} {listed(seeds, most=9)}; "
        f"{' to '.join(dict.fromkeys((dates[0], dates[-1])))}; torch {machine['torch']}; "
        f"{machine['processor']}. CPU time is the median of one training with its evaluations. "
        "One training is:"
    )
    yield ""
    yield "```sh"
    for row in part.rows:
        yield row.command("SEED", part.data)
    yield "```"


def _seeds(seeds: Sequence[int]) -> str:
    return "" if seeds == [0, 1, 2] else f" --seeds {' '.join(map(str, seeds))}"


def _cells(part: Part, row: Row, found: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield row.what
    yield row.published
    for figure in part.figures:
        values = [result["figures"][figure] for result in found]
        median, low, high = statistics.median(values), min(values), max(values)
        spread = f" ({part.shown(low)} to {part.shown(high)})" * (low < high)
        yield f"{part.shown(median)}{spread}"
    yield "yes" if row.reaches(median) else f"no: {row.reason}"
    yield ", ".join(str(each) for each in sorted({result["epochs"] for result in found}))
    seconds = [result["cpu_seconds"] for result in found if result["cpu_seconds"] is not None]
    yield f"{statistics.median(seconds):,.1f} s" if seconds else "-"
