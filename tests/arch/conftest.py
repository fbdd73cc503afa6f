"""Descriptions and plans from a few lines of YAML, or from an architecture file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.arch.description import Description, Facts, describe, usual_facts
from cnntrain.arch.plan import Plan
from cnntrain.arch.planner import make_plan
from cnntrain.core.document import parse_document, read_document


def _described(
    text: str, *, shape: tuple[int, int, int] = (3, 8, 8), classes: int | None = None, **given: Any
) -> Description:
    document = parse_document(text, name="net.yaml")
    return describe(document, facts=Facts(classes, *shape), variables=given)


@pytest.fixture(scope="session")
def described() -> Callable[..., Description]:
    """(text, shape=(3, 8, 8), classes=None, variable=value ...) -> what the text describes."""
    return _described


@pytest.fixture(scope="session")
def planned() -> Callable[..., Plan]:
    """(text, shape=(3, 8, 8), classes=None, variable=value ...) -> the plan."""
    return lambda text, **given: make_plan(_described(text, **given))


@pytest.fixture(scope="session")
def shipped() -> Callable[[Path], Plan]:
    """(architecture file) -> its plan for the images that it is made for."""

    def plan(file: Path) -> Plan:
        document = read_document(file)
        return make_plan(describe(document, facts=usual_facts(document)))

    return plan


@pytest.fixture(scope="session", autouse=True)
def _two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(min(before, 2))
    yield
    torch.set_num_threads(before)
