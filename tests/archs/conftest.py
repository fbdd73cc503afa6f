"""Every shipped architecture, planned once for the images that it is made for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest
import torch

from cnntrain.arch.description import describe, usual_facts
from cnntrain.arch.plan import Plan
from cnntrain.arch.planner import make_plan
from cnntrain.core.document import read_document

FOLDER = Path(__file__).parents[2] / "configs" / "archs"


@cache
def _planned(name: str) -> Plan:
    document = read_document(FOLDER / f"{name}.yaml")
    return make_plan(describe(document, facts=usual_facts(document)))


@pytest.fixture(scope="session")
def arch() -> Callable[[str], Plan]:
    """(name of an architecture) -> its plan."""
    return _planned


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # two that wait for each other are slower on a busy machine
    yield
    torch.set_num_threads(before)
