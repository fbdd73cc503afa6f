"""Arithmetic over names and numbers, and nothing more: `$width * 2`, `($image_size + 3) // 4`.

Two words round: `ceil($depth * 3)` up to an integer, `multiple($width * 24, 8)` to a multiple of 8.
"""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

from cnntrain.core.problems import near_match

_OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
}


def _multiple(value: float, of: float) -> int:
    """The nearest multiple of `of`, at least `of`, the next one where that is 10 % too small.

    How MobileNet V2's authors round channels (`_make_divisible` in their code).

    Raises:
        ValueError: `of` is not a positive integer.
    """
    if not isinstance(of, int) or of < 1:
        raise ValueError(f"multiple(..., {of}): {of} is not a positive integer")
    nearest = max(of, int(value + of / 2) // of * of)
    return nearest + of if nearest < 0.9 * value else nearest


_WORDS: dict[str, tuple[Callable[..., int], int, str]] = {
    "ceil": (math.ceil, 1, "ceil($x)"),
    "multiple": (_multiple, 2, "multiple($x, 8)"),
}
"""Each with its number of arguments and an example."""
_NAME = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_BRACES = re.compile(r"\$\s*\{")
_MAX_LENGTH = 200


class ExpressionError(ValueError):
    """An expression that cannot be evaluated; `remedy` says what to write."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class Scope(ChainMap[str, Any]):
    """Names with their values, which remembers the names that were asked for.

    Args:
        values: the names of this scope.
        outer: the scope around it, where other names are looked up.
    """

    def __init__(self, values: Mapping[str, Any], outer: Scope | None = None) -> None:
        super().__init__(dict(values), *([] if outer is None else [outer]))
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name in self.maps[0]:
            self.used.add(name)
        return super().__getitem__(name)

    def __iter__(self) -> Iterator[str]:
        """The names of this scope, then those around it."""
        return iter(dict.fromkeys(chain(*self.maps)))


def evaluate(text: str, scope: Mapping[str, Any]) -> Any:
    """The value of a string that contains `$`.

    `$name` alone is that value, whatever it is; otherwise every name must be a number. A division
    `/` of integers that leaves no remainder is an integer.

    Raises:
        ExpressionError: an unknown name, anything but arithmetic, a division by zero.
    """
    alone = _NAME.fullmatch(text.strip())
    if alone:
        return _look_up(alone[1], scope)
    if len(text) > _MAX_LENGTH:
        raise ExpressionError("the expression is too long", "compute it in `vars:`, step by step")
    tree = _parse(text)
    try:
        value = _value(tree.body, scope, text)
        is_finite = math.isfinite(value)
    except OverflowError:
        is_finite = False
    if not is_finite:
        raise ExpressionError(f"'{text}' is too large", "use smaller numbers")
    return value


def _parse(text: str) -> ast.Expression:
    """The syntax tree of an expression; names are in it with `_name_` in place of the `$`."""
    remedy = "write $names and numbers with + - * / // ( ) between them"
    if _BRACES.search(text):
        remedy = "write $name without braces"
    try:
        with warnings.catch_warnings():  # Python warns of `1or 2`; it is refused anyway
            warnings.simplefilter("ignore")
            return ast.parse(_NAME.sub(r"_name_\1", text).strip(), mode="eval")
    except (SyntaxError, ValueError, MemoryError):
        raise ExpressionError(f"'{text}' is not an expression", remedy) from None


@dataclass(frozen=True)
class Unavailable:
    """In the place of a value that there cannot be: why, and what to write instead."""

    reason: str
    remedy: str


def _look_up(name: str, scope: Mapping[str, Any]) -> Any:
    if name not in scope:
        near = near_match(name, scope)
        known = ", ".join(f"${other}" for other in scope) or "nothing"
        remedy = f"did you mean '${near}'?" if near else f"known here: {known}"
        raise ExpressionError(f"unknown name '${name}'", remedy)
    value = scope[name]
    if isinstance(value, Unavailable):
        raise ExpressionError(value.reason, value.remedy)
    if value is None:
        raise ExpressionError(f"'${name}' is not known here", "give it a value")
    return value


def _value(node: ast.expr, scope: Mapping[str, Any], text: str) -> Any:
    match node:
        case ast.Constant(value=number) if type(number) in (int, float):
            return number
        case ast.Name(id=name) if name.startswith("_name_"):
            name = name.removeprefix("_name_")
            value = _look_up(name, scope)
            if isinstance(value, bool) or not isinstance(value, int | float):
                remedy = "write it alone, without arithmetic"
                raise ExpressionError(f"'${name}' is not a number", remedy)
            return value
        case ast.Call(func=ast.Name(id=word)) if word in _WORDS:
            return _rounded(node, word, scope, text)
        case ast.Name(id=name):
            remedy = f"write ${name} if it is a name"
            raise ExpressionError(f"'{name}' in '{text}' is not a number", remedy)
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand, scope, text)
        case ast.BinOp() if type(node.op) in _OPERATORS:
            return _binary(node, scope, text)
    remedy = "write only $names, numbers, + - * / // ( ), ceil(...) and multiple(..., ...)"
    raise ExpressionError(f"'{text}' is more than arithmetic", remedy)


def _rounded(call: ast.Call, word: str, scope: Mapping[str, Any], text: str) -> int:
    """The value of `ceil(...)` or `multiple(..., ...)`."""
    function, count, example = _WORDS[word]
    if len(call.args) != count or call.keywords:
        numbers = "one number" if count == 1 else f"{count} numbers"
        raise ExpressionError(f"'{word}' in '{text}' needs {numbers}", f"write {example}")
    values = [_value(argument, scope, text) for argument in call.args]
    if not all(map(math.isfinite, values)):
        raise OverflowError
    try:
        return function(*values)
    except ValueError as error:
        raise ExpressionError(str(error), f"write {example}") from None


def _binary(node: ast.BinOp, scope: Mapping[str, Any], text: str) -> Any:
    left, right = _value(node.left, scope, text), _value(node.right, scope, text)
    is_division = isinstance(node.op, ast.Div)
    if right == 0 and (is_division or isinstance(node.op, ast.FloorDiv)):
        raise ExpressionError(f"'{text}' divides by zero", "change the divisor")
    if is_division and isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return _OPERATORS[type(node.op)](left, right)
