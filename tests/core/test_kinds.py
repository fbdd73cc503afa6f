"""What the kinds of parameters accept, and what they become."""

from typing import Any

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError

from cnntrain.core import kinds

STRICT = ConfigDict(strict=True, allow_inf_nan=False)

GOOD = [
    (kinds.Positive, 1, 1),
    (kinds.NonNegative, 0, 0),
    (kinds.Fraction, 1, 1.0),
    (kinds.PositiveFloat, 2, 2.0),
    (kinds.Size, 3, 3),
    (kinds.Size, [3, 5], (3, 5)),
    (kinds.Padding, [0, 2], (0, 2)),
    (kinds.Range, [0.5, 1], (0.5, 1)),
    (kinds.Floats, [1, 0.5], (1, 0.5)),
    (kinds.Names, ["a", "b"], ("a", "b")),
    (kinds.ClassList, ["a", "b"], ("a", "b")),
    (kinds.Encoding, "cp1252", "cp1252"),
    (kinds.Delimiter, "\t", "\t"),
    (kinds.NamePattern, "CLASS_*", "CLASS_*"),
]
BAD = [
    (kinds.Positive, [0, True, 1.0, "1", None]),
    (kinds.NonNegative, [-1, False]),
    (kinds.Fraction, [1.1, -0.1, True, float("nan"), "0.5"]),
    (kinds.PositiveFloat, [0, float("inf")]),
    (kinds.NonNegativeFloat, [-1e-9]),
    (kinds.Size, [0, True, [3], [3, 0], [1, 2, 3], "3", 3.0, None]),
    (kinds.Padding, [-1, [0, -1]]),
    (kinds.Range, [[1, 0], [0], 0, ["a", "b"], [0, float("inf")]]),
    (kinds.Floats, [1, ["a"], [True], [float("nan")]]),
    (kinds.Names, ["a", [1]]),
    (kinds.ClassList, ["a", [1], ["a", "a"]]),
    (kinds.Encoding, ["utf-9", "base64", "", "\0", 8]),  # base64: a codec, but not of text
    (kinds.Delimiter, ["", ";;", '"', "\n", 1]),
    (kinds.NamePattern, ["(a", ".*_.*", "(a)(b)", 1]),
]


@pytest.mark.parametrize(("kind", "value", "result"), GOOD)
def test_good(kind: Any, value: Any, result: Any) -> None:
    assert TypeAdapter(kind, config=STRICT).validate_python(value) == result


@pytest.mark.parametrize(("kind", "value"), [(k, v) for k, values in BAD for v in values])
def test_bad(kind: Any, value: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(kind, config=STRICT).validate_python(value)
