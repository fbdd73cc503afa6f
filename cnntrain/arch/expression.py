"""Arithmetic over names and numbers, and nothing more: `$width * 2`, `($image_size + 3) // 4`."""

from __future__ import annotations

import ast
import math
import operator
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from cnntrain.core.problems import near_match

_OPERATORS: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add),
    ast.Sub: ("-", operator.sub),
    ast.Mult: ("*", operator.mul),
    ast.Div: ("/", operator.truediv),
    ast.FloorDiv: ("//", operator.floordiv),
}
_NAME = re.compile(r"\$([A-Za-z_][A-Za-z0-9_]*)")
_BRACES = re.compile(r"\$\s*\{")
_MAX_LENGTH = 200


class ExpressionError(ValueError):
    """An expression that cannot be evaluated; `remedy` says what to write."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class Scope(Mapping[str, Any]):
    """Names with their values, which remembers the names that were asked for.

    Args:
        values: the names of this scope.
        outer: the scope around it, where other names are looked up.
    """

    def __init__(self, values: Mapping[str, Any], outer: Scope | None = None) -> None:
        self._values = dict(values)
        self._outer = outer
        self.used: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name not in self._values and self._outer is not None:
            return self._outer[name]
        self.used.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        yield from self._values
        for name in self._outer or ():
            if name not in self._values:
                yield name

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._values or (self._outer is not None and name in self._outer)

    def define(self, name: str, value: Any) -> None:
        """Add a name."""
        self._values[name] = value


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


def _look_up(name: str, scope: Mapping[str, Any]) -> Any:
    if name not in scope:
        near = near_match(name, scope)
        known = ", ".join(f"${other}" for other in scope) or "nothing"
        remedy = f"did you mean '${near}'?" if near else f"known here: {known}"
        raise ExpressionError(f"unknown name '${name}'", remedy)
    value = scope[name]
    if value is None:
        raise ExpressionError(f"'${name}' is not known here", "give it a value")
    return value


def _value(node: ast.expr, scope: Mapping[str, Any], text: str) -> Any:
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return node.value
    if isinstance(node, ast.Name) and node.id.startswith("_name_"):
        name = node.id.removeprefix("_name_")
        value = _look_up(name, scope)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ExpressionError(
                f"'${name}' is not a number", "write it alone, without arithmetic"
            )
        return value
    if isinstance(node, ast.Name):
        raise ExpressionError(
            f"'{node.id}' in '{text}' is not a number", f"write ${node.id} if it is a name"
        )
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_value(node.operand, scope, text)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
        return _binary(node, scope, text)
    raise ExpressionError(
        f"'{text}' is more than arithmetic", "write only $names, numbers and + - * / // ( )"
    )


def _binary(node: ast.BinOp, scope: Mapping[str, Any], text: str) -> Any:
    symbol, function = _OPERATORS[type(node.op)]
    left, right = _value(node.left, scope, text), _value(node.right, scope, text)
    if symbol in ("/", "//") and right == 0:
        raise ExpressionError(f"'{text}' divides by zero", "change the divisor")
    if symbol == "/" and isinstance(left, int) and isinstance(right, int) and left % right == 0:
        return left // right
    return function(left, right)
