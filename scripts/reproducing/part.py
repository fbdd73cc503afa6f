"""A part of scripts/reproduce: the rows of a table."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cnntrain.runs.folder import RunFolder
from cnntrain.show.words import percent


@dataclass(frozen=True)
class Row:
    """A run file that is trained once for each seed.

    Args:
        name: of its folders.
        what: in words.
        run_file: the name of a shipped one.
        published: what it is compared with, in words.
        reaches: whether a median is as good as that.
        overrides: of the run file.
        reason: why not, where it is not.
    """

    name: str
    what: str
    run_file: str
    published: str
    reaches: Callable[[float], bool]
    overrides: tuple[str, ...] = ()
    reason: str = "unknown why"

    def command(self, seed: int | str, data: Sequence[str] = ()) -> str:
        """What repeats one training; overrides that name the data are the last ones."""
        words = ["cnntrain", "fit", f"configs/{self.run_file}.yaml"]
        for override in [*self.overrides, f"seed={seed}", *data]:
            words += ["-s", override]
        return shlex.join(words)


@dataclass(frozen=True)
class Part:
    """A table.

    Args:
        title: of the table.
        rows: of it.
        figures: what is measured of each network, by headings; the last one is compared.
        measure: measures it in a complete run.
        made_up: overrides with which a training takes a moment and needs no files.
        data: overrides in their place that name the data in DIR.
        shown: a figure in words.
        compared: the heading of what the figures are compared with.
        pictures: names in docs/figures of files in the folder of the part.
    """

    title: str
    rows: tuple[Row, ...]
    figures: tuple[str, ...]
    measure: Callable[[RunFolder], Mapping[str, float]]
    made_up: tuple[str, ...]
    data: tuple[str, ...] = ("data.root=DIR",)
    shown: Callable[[float], str] = percent
    compared: str = "published"
    pictures: Mapping[str, str] = field(default_factory=dict)


def overrides(part: Part, row: Row, *, seed: int, data: Path | None) -> list[str]:
    """Of one training; without data on made-up images."""
    named = part.made_up if data is None else [each.replace("DIR", str(data)) for each in part.data]
    return [*row.overrides, f"seed={seed}", *named]
