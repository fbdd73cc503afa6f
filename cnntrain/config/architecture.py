"""What is wrong with a run file's architecture, but for shapes and `init`; without torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import product
from typing import Any

from cnntrain.arch.description import Facts, describe
from cnntrain.core.document import Document
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place, Problem
from cnntrain.data import DATASETS
from cnntrain.data.metadata import facts as data_facts

_CLASSES = (2, 10, 1000)
_SIZES = (32, 224)
"""Stand for what only the data can tell: what is wrong with each of them is wrong."""


def architecture_problems(document: Document) -> list[Problem]:
    """Unknown layers, wrong parameters, bad arithmetic, ...: all but what needs shapes.

    Args:
        document: the run file with its sections in place; what is wrong with other sections is
            none of this function's business.
    """
    if not isinstance(document.data.get("arch"), Mapping):
        return []  # the schema tells
    given = document.data.get("vars")
    variables = given if isinstance(given, Mapping) else {}
    found: tuple[Problem, ...] = ()
    wrong_in_all: set[Place | None] | None = None
    # the weights that a run starts from may have a say in the size of the images
    fixed = document.data.get("finetune") is None
    for facts in _possible_facts(document.data.get("data"), size_is_fixed=fixed):
        found = _problems(document, facts, variables)
        places = {problem.place for problem in found}
        wrong_in_all = places if wrong_in_all is None else wrong_in_all & places
        if not wrong_in_all:
            return []
    assert wrong_in_all is not None
    return [problem for problem in found if problem.place in wrong_in_all]


def _problems(
    document: Document, facts: Facts, variables: Mapping[str, Any]
) -> tuple[Problem, ...]:
    try:
        describe(document, root=("arch",), facts=facts, variables=variables)
    except ConfigError as error:
        return error.problems
    return ()


def _possible_facts(section: object, *, size_is_fixed: bool) -> Iterator[Facts]:
    """What the data may tell: one set of facts where all is known, several where it is not."""
    classes, channels, size = _stated(section)
    size = size if size_is_fixed else None
    counts = _CLASSES if classes is None else (classes,)
    sizes = [(side, side) for side in _SIZES] if size is None else [size]
    for count, (height, width) in product(counts, sizes):
        yield Facts(count, channels, height, width)


def _stated(section: object) -> tuple[int | None, int, tuple[int, int] | None]:
    """Classes, channels and size of the images, as far as the `data` section is right."""
    unknown = (None, 3, None)
    if not isinstance(section, Mapping) or not isinstance(section.get("name"), str):
        return unknown
    entry = DATASETS.find(section["name"])
    if entry is None:
        return unknown
    own = {p.name: section[p.name] for p in entry.parameters if p.name in section}
    keywords, complaints = entry.check(own)
    if complaints:
        return unknown
    known = data_facts(entry.name, keywords)
    return known.num_classes, known.channels, None if _changes_size(section) else known.size


def _changes_size(section: Mapping[str, Any]) -> bool:
    """Whether a transform has a say in the size of the training images."""
    transforms = section.get("transforms")
    calls = transforms.get("train") if isinstance(transforms, Mapping) else None
    if not isinstance(calls, list):
        return False
    return any(
        isinstance(call, Mapping)
        and any(isinstance(given, Mapping) and "size" in given for given in call.values())
        for call in calls
    )
