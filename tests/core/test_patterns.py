"""Which names a pattern covers: written out by hand."""

import pytest

from cnntrain.core.patterns import around, covered, covers


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("fc1", "fc1.weight", True),
        ("fc1.weight", "fc1.weight", True),
        ("fc", "fc1.weight", False),
        ("fc*", "fc1.weight", True),
        ("stage1.block?", "stage1.block2.conv1.weight", True),
        ("block2", "stage1.block2.conv1.weight", False),  # a name is a whole one, from the top
        ("*.block2", "stage1.block2.conv1.weight", True),
        ("FC1", "fc1.weight", False),
        ("conv[12]", "conv3.weight", False),
        ("*", "fc1", True),
    ],
)
def test_covers(pattern: str, name: str, expected: bool) -> None:
    assert covers(pattern, name) is expected
    assert covered(["nothing", pattern], name) is expected
    assert not covered([], name)


def test_around() -> None:
    assert around("stage1.block2.conv1") == ["", "stage1", "stage1.block2", "stage1.block2.conv1"]
