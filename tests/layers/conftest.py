"""Plans from a few lines of YAML, for what several layers make together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cnntrain.arch.description import Facts, describe
from cnntrain.arch.plan import Plan
from cnntrain.arch.planner import make_plan
from cnntrain.core.document import parse_document


def _planned(text: str, *, shape: tuple[int, int, int], classes: int) -> Plan:
    document = parse_document(text, name="net.yaml")
    return make_plan(describe(document, facts=Facts(classes, *shape), variables={}))


@pytest.fixture(scope="session")
def planned() -> Callable[..., Plan]:
    """(text, shape=(C, H, W), classes=K) -> the plan."""
    return _planned
