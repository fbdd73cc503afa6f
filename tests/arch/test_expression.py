"""Arithmetic of `$` strings; expected values by Python's own arithmetic, written out."""

from __future__ import annotations

import contextlib
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.models._utils import _make_divisible

from cnntrain.arch.expression import ExpressionError, Scope, evaluate

NAMES = {"width": 16, "n": 3, "rate": 0.5, "act": "relu", "sizes": [1, 2], "flag": True, "no": None}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$width", 16),
        (" $width ", 16),
        ("$act", "relu"),
        ("$sizes", [1, 2]),
        ("$flag", True),
        ("$width * 2", 32),
        ("2*$width", 32),
        ("$n - 1", 2),
        ("$n-1", 2),
        ("-$n", -3),
        ("--$n", 3),
        ("$n - -1", 4),
        ("$width + $n * 2", 22),
        ("($width + $n) * 2", 38),
        ("$width / 4", 4),
        ("$width / 3", 16 / 3),
        ("$width // 3", 5),
        ("-$width // 3", -6),
        ("$width * $rate", 8.0),
        ("$rate / 2", 0.25),
        ("$n - 2 - 1", 0),
        ("8 / 2 / 2 * $n", 6),
        ("($width + 3) // 4 * 4", 16),
        ("1.5 * $n", 4.5),
        ("1e1 * $n", 30.0),
        ("ceil($n / 2)", 2),
        ("ceil($width / 4)", 4),
        ("ceil(-$rate)", 0),
        ("ceil($n * 1.1) + 1", 5),
        ("multiple($width, 8)", 16),
        ("multiple($width * 0.75, 8)", 16),  # 12: halves go up
        ("multiple(11.9 + 0 * $n, 8)", 16),  # 8 is less than 0.9 * 11.9
        ("multiple($n, 8)", 8),
        ("multiple(-$n, 8)", 8),
        ("2 * multiple(ceil($n / 2) * $width, 5)", 60),
    ],
)
def test_value(text: str, value: Any) -> None:
    found = evaluate(text, NAMES)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("$widht", "unknown name '$widht'"),
        ("$", "not an expression"),
        ("${width}", "not an expression"),
        ("$width +", "not an expression"),
        ("$width $n", "not an expression"),
        ("$width = 3", "not an expression"),
        ("$width; $n", "not an expression"),
        ("$width\x00", "not an expression"),
        ("1or $n", "more than arithmetic"),
        ("$width ** 2", "more than arithmetic"),
        ("$width % 2", "more than arithmetic"),
        ("$width @ 2", "more than arithmetic"),
        ("$width << 60", "more than arithmetic"),
        ("+$width", "more than arithmetic"),
        ("~$width", "more than arithmetic"),
        ("not $width", "more than arithmetic"),
        ("$width > 2", "more than arithmetic"),
        ("$width if $n else 2", "more than arithmetic"),
        ("$width, $n", "more than arithmetic"),
        ("[$width]", "more than arithmetic"),
        ("$sizes[0]", "more than arithmetic"),
        ("ceil($n, 2)", "'ceil' in 'ceil($n, 2)' needs one number"),
        ("ceil(*$sizes)", "more than arithmetic"),
        ("ceil(x=$n)", "needs one number"),
        ("multiple($width)", "needs 2 numbers"),
        ("multiple($width, 0)", "multiple(..., 0): 0 is not a positive integer"),
        ("multiple($width, 0.5)", "0.5 is not a positive integer"),
        ("multiple($act, 8)", "'$act' is not a number"),
        ("$ceil(3)", "more than arithmetic"),
        ("ceil + $n", "'ceil' in 'ceil + $n' is not a number"),
        ("floor($rate)", "more than arithmetic"),
        ("ceil($n * 1e308 * 10)", "too large"),
        ("ceil($n * 1e308 * 10 - $n * 1e308 * 10)", "too large"),
        ("multiple(" + "9" * 170 + " / $rate, 8)", "too large"),
        ("max($width, 3)", "more than arithmetic"),
        ("__import__('os').system('$n')", "more than arithmetic"),
        ("$width.real", "more than arithmetic"),
        ("(lambda: $n)()", "more than arithmetic"),
        ("$n + 'a'", "more than arithmetic"),
        ("$n + True", "more than arithmetic"),
        ("$n + 1j", "more than arithmetic"),
        ("$n + width", "'width' in '$n + width' is not a number"),
        ("$act * 2", "'$act' is not a number"),
        ("$sizes * 2", "'$sizes' is not a number"),
        ("$flag + 1", "'$flag' is not a number"),
        ("$no", "'$no' is not known here"),
        ("$no + 1", "'$no' is not known here"),
        ("$n / 0", "divides by zero"),
        ("$n // ($n - 3)", "divides by zero"),
        ("$n * 1e308 * 10", "too large"),
        ("1e308 * 1e308 - 1e308 * 1e308 + $n", "too large"),
        ("9" * 180 + " / $rate", "too large"),
        ("$n + " + "1" * 200, "too long"),
    ],
)
def test_refusal(text: str, says: str) -> None:
    names = NAMES if "9" not in text else {**NAMES, "rate": 1e-300}
    with pytest.raises(ExpressionError) as caught:
        evaluate(text, names)
    assert says in str(caught.value)
    assert caught.value.remedy


@pytest.mark.parametrize("of", [1, 3, 8, 10])
def test_multiples_are_torchvisions(of: int) -> None:
    for value in [*range(1, 400), *(n / 7 for n in range(1, 400))]:
        assert evaluate(f"multiple($x, {of})", {"x": value}) == _make_divisible(value, of)


def test_the_remedy_for_a_slip_is_the_near_name() -> None:
    with pytest.raises(ExpressionError) as caught:
        evaluate("$widht * 2", NAMES)
    assert caught.value.remedy == "did you mean '$width'?"


TOKENS = [*"$+-*/()., \t\n[]{}'\"=%&|^~<>!:;#@\\0123456789eEjx_", "$width", "$act", "//", "**"]
SOUP = st.lists(
    st.sampled_from(
        [*TOKENS, "lambda", "ceil(", "multiple(", " if ", " else ", " or ", "not ", "width"]
    ),
    max_size=25,
)


@settings(max_examples=500, deadline=None)
@given(SOUP.map("".join) | st.text(max_size=40).map(lambda text: "$n" + text))
def test_nothing_but_an_expression_error_is_ever_raised(text: str) -> None:
    with contextlib.suppress(ExpressionError):
        value = evaluate(text, NAMES)
        assert not isinstance(value, float) or math.isfinite(value)


NUMBERS = st.integers(-1000, 1000).map(str)
ARITHMETIC = st.recursive(
    NUMBERS | st.just("$width"),
    lambda inner: st.tuples(inner, st.sampled_from(["+", "-", "*", "//"]), inner).map(
        lambda parts: f"({' '.join(parts)})"
    ),
    max_leaves=8,
)


@settings(max_examples=200, deadline=None)
@given(ARITHMETIC)
def test_integers_agree_with_python(text: str) -> None:
    try:
        expected = eval(text.replace("$width", "16"))
    except ZeroDivisionError:
        with pytest.raises(ExpressionError, match="divides by zero"):
            evaluate(text, NAMES)
    else:
        assert evaluate(text, NAMES) == expected


def test_a_scope_knows_what_was_asked_for() -> None:
    outer = Scope({"width": 16, "depth": 2})
    inner = Scope({"width": 8}, outer)
    assert evaluate("$width + $depth", inner) == 10
    assert inner.used == {"width"}
    assert outer.used == {"depth"}
    assert dict(inner) == {"width": 8, "depth": 2}
    assert len(inner) == 2
