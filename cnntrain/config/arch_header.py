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
_WEIGHTS = re.compile(r"Weights: configs/weights/(\w+)\.yaml")
_SCORE = re.compile(r"(\d+(?:\.\d+)?) % (error|top-1) on (ImageNet|CIFAR-10|MNIST)\b(?!: cnntrain)")


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
        weights: the shipped map of names that fits published weights, such as torchvision_resnet;
            empty without one.
        top1: share of the test images that it has right according to the paper; None where the
            header does not say so. What was measured here (`% error on MNIST: cnntrain fit ...`) is
            not meant.
        test_set: of these images, such as CIFAR-10; empty where there is no share.
    """

    title: str
    parameters: int
    multiply_adds: int
    size: int
    channels: int
    classes: int
    source: str
    weights: str
    top1: float | None
    test_set: str


def read_header(file: Path) -> ArchHeader:
    """The header of a shipped architecture; each has one."""
    text = header_text(file)
    title, _, rest = text.partition(": ")
    counts, paper, weights = _COUNTS.search(text), _PAPER.match(rest), _WEIGHTS.search(text)
    score = _SCORE.search(text)
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
        weights=weights[1] if weights else "",
        top1=_top1(score[1], score[2]) if score else None,
        test_set=score[3] if score else "",
    )


def header_text(file: Path) -> str:
    """The comment at the head of a file, in one line."""
    with file.open(encoding="utf-8") as lines:
        return " ".join(line[1:].strip() for line in takewhile(lambda at: at[:1] == "#", lines))


def _short(authors: str, year: str) -> str:
    """`He, Zhang, Ren, Sun` and `2015`: `He et al. 2015`; two authors are both named."""
    names = authors.split(", ")
    return f"{f'{names[0]} et al.' if len(names) > 2 else ', '.join(names)} {year}"


def _top1(percent: str, of: str) -> float:
    """`8.75` percent `error` or `top-1` as the share that is right, to the digits that are said."""
    share = float(percent) / 100
    return round(1 - share if of == "error" else share, 6)
