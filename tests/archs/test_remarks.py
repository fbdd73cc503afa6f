"""Networks from papers are right: what the doctor would say of them by their plan is nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.arch.plan import Plan
from cnntrain.assemble.sight_rules import sight

FOLDER = Path(__file__).parents[2] / "configs" / "archs"


@pytest.mark.parametrize("name", sorted(file.stem for file in FOLDER.glob("*.yaml")))
def test_a_shipped_architecture_gets_no_remark(arch: Callable[[str], Plan], name: str) -> None:
    """Plans are shared with the other tests of this folder; the rules take milliseconds."""
    plan = arch(name)
    classes = plan.description.facts.num_classes or 0
    assert sight(plan, classes=classes, applies="softmax") == []
