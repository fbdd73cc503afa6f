"""What the comment at the head of a shipped architecture says of it; tests compare it with plans.

Read without torch and without YAML, so that `cnntrain list archs` is quick.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

_COUNTS = re.compile(
    r"([\d,]+) parameters\b(?:[^.]|\.\d)*? ([\d,]+) multiply-adds "
    r"for (\d+)x\d+ (colour|grey) images(?: and|,) (\d+) classes"
)
_PAPER = re.compile(r'((?:van der )?[A-Z][^":.]*(?: et al\.)?), "[^"]+", (?:[^",.]+, )?(\d{4})')
_WEIGHTS = re.compile(r"Weights: configs/weights/torchvision_(\w+)\.yaml")


@dataclass(frozen=True)
class ArchHeader:
    """Of one architecture file, for the images that it is made for.

    Args:
        title: what network it is, such as `ResNet-50` or `AlexNet as published`.
        parameters: auxiliary heads included.
        multiply_adds: of one image, without auxiliary heads.
        size: side of the images, in pixels.
        channels: 1 for grey images, 3 for colour.
        classes: of the output.
        source: authors and year, such as `He et al. 2015`; empty where no paper describes it.
        torchvision: the map of names that fits torchvision's weights; empty without one.
    """

    title: str
    parameters: int
    multiply_adds: int
    size: int
    channels: int
    classes: int
    source: str
    torchvision: str


def read_header(file: Path) -> ArchHeader:
    """The header of a shipped architecture; each has one."""
    text = header_text(file)
    title, _, rest = text.partition(": ")
    counts, paper, weights = _COUNTS.search(text), _PAPER.match(rest), _WEIGHTS.search(text)
    assert counts is not None, file
    parameters, multiply_adds, size, _, classes = (
        int(number.replace(",", "")) if number[0].isdigit() else 0 for number in counts.groups()
    )
    return ArchHeader(
        title=title,
        parameters=parameters,
        multiply_adds=multiply_adds,
        size=size,
        channels=1 if counts[4] == "grey" else 3,
        classes=classes,
        source=_short(*paper.groups()) if paper else "",
        torchvision=weights[1] if weights else "",
    )


def header_text(file: Path) -> str:
    """The comment at the head of a file, in one line."""
    with file.open(encoding="utf-8") as lines:
        return " ".join(line[1:].strip() for line in takewhile(lambda at: at[:1] == "#", lines))


def _short(authors: str, year: str) -> str:
    """`He, Zhang, Ren, Sun` and `2015`: `He et al. 2015`; two authors are both named."""
    names = authors.split(", ")
    return f"{f'{names[0]} et al.' if len(names) > 2 else ', '.join(names)} {year}"
