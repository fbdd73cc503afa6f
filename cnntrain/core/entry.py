"""One registered thing: its name, parameters and documentation, read from the syntax tree."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NoReturn

from pydantic import ConfigDict, TypeAdapter, ValidationError

from cnntrain.core import kinds
from cnntrain.core.complaints import Complaint, complaints, without_misspelt
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place


class Layers:
    """Stands for a nested list of layers (`nn.Module` in a signature)."""


class NamedLayers:
    """Stands for named lists of layers (`dict[str, nn.Module]` in a signature)."""


@dataclass(frozen=True)
class Parameter:
    """A keyword of a registered thing; `default` means nothing where it is required."""

    name: str
    annotation: str
    kind: Any
    required: bool
    default: Any
    description: str

    @property
    def nested(self) -> Literal["list", "lists"] | None:
        """Whether the value is a list of layers, named lists of layers, or plain data."""
        text = self.annotation.replace(" ", "").removesuffix("|None")
        if text == "nn.Module":
            return "list"
        return "lists" if text == "dict[str,nn.Module]" else None

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """The strict pydantic type of a plain value."""
        return TypeAdapter(self.kind, config=ConfigDict(strict=True, allow_inf_nan=False))


@dataclass(frozen=True)
class Entry:
    """A registered choice; `filled` are the parameters that follow from `origin`."""

    name: str
    file: Path
    line: int
    doc: str
    parameters: tuple[Parameter, ...]
    filled: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    origin: str = "the run"

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.doc.split("\n", 1)[0].strip()

    def with_parameter(self, value: Any) -> str:
        """How to write what was given without a name: `resize: {size: 72}`, the first one's."""
        given = value if isinstance(value, int | float | str) else "..."
        first = self.parameters[0].name if self.parameters else None
        return f"`{self.name}: {{{first}: {given}}}`" if first else f"`{self.name}` alone"

    def parameter(self, name: str) -> Parameter | None:
        """The parameter of that name, if there is one."""
        return next((p for p in self.parameters if p.name == name), None)

    def completed(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """What an earlier version wrote, with the defaults of parameters that it did not have."""
        defaults = {p.name: p.default for p in self.parameters if not p.required}
        plain = {k: list(v) if isinstance(v, tuple) else v for k, v in defaults.items()}
        return {**plain, **values}

    def check(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Complaint]]:
        """Validate what a file gives; returns keywords, defaults filled in, and complaints."""
        names = [p.name for p in self.parameters]
        keywords = {p.name: p.default for p in self.parameters if not p.required}
        errors: list[Mapping[str, Any]] = []
        found: list[Complaint] = []
        for key, value in values.items():
            parameter = self.parameter(key)
            if key in self.filled:
                message = f"'{key}' of '{self.name}' follows from {self.origin}"
                found.append(Complaint((key,), message, "remove it", at_key=True))
            elif parameter is None:
                errors.append({"type": "extra_forbidden", "loc": (key,)})
            elif parameter.nested:
                keywords[key] = value
            else:
                try:
                    keywords[key] = parameter.adapter.validate_python(value)
                except ValidationError as error:
                    errors += [{**e, "loc": (key, *e["loc"])} for e in error.errors()]
        if errors:
            found += complaints(errors, values, known=lambda _: names, where=f"'{self.name}'")
        for parameter in self.parameters:
            if parameter.required and parameter.name not in values:
                message = f"'{parameter.name}' is missing in '{self.name}'"
                hint = f" ({parameter.description.rstrip('.')})" if parameter.description else ""
                remedy = f"add `{parameter.name}: ...`{hint}"
                found.append(Complaint((), message, remedy, missing=parameter.name))
        ordered = {p.name: keywords[p.name] for p in self.parameters if p.name in keywords}
        return ordered, without_misspelt(found)


def read_entries(
    tree: ast.Module, *, file: Path, decorator: str, filled: tuple[str, ...], origin: str
) -> list[Entry]:
    """Every function and class of a file that carries `@decorator("name")`.

    `filled` are parameters that follow from `origin`, of whatever type.
    """
    return [
        _read_entry(node, call, file, filled, origin)
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
        for call in node.decorator_list
        if isinstance(call, ast.Call) and ast.unparse(call.func).split(".")[-1] == decorator
    ]


def _read_entry(
    node: ast.FunctionDef | ast.ClassDef,
    call: ast.Call,
    file: Path,
    filled: tuple[str, ...],
    origin: str,
) -> Entry:
    name = _literal(call.args[0] if call.args else None, file, node, "the registered name")
    options = {
        k.arg: _literal(k.value, file, node, f"the option {k.arg}") for k in call.keywords if k.arg
    }
    doc = ast.get_docstring(node) or ""
    functions = node.body if isinstance(node, ast.ClassDef) else [node]
    first = "__init__" if isinstance(node, ast.ClassDef) else node.name
    parameters: list[Parameter] = []
    asked: list[str] = []
    for signature in functions:
        if not isinstance(signature, ast.FunctionDef) or signature.name != first:
            continue
        _refuse_positional(name, signature, file, is_class=signature is not node)
        descriptions = _descriptions(doc + "\n\n" + (ast.get_docstring(signature) or ""))
        arguments = signature.args
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if argument.arg in filled:
                asked.append(argument.arg)
            else:
                parameters.append(_parameter(argument, default, file, descriptions))
    return Entry(name, file, node.lineno, doc, tuple(parameters), tuple(asked), options, origin)


def _refuse_positional(
    name: str, signature: ast.FunctionDef, file: Path, *, is_class: bool
) -> None:
    """A parameter that is no keyword could not be given in YAML, and would be passed over."""
    arguments = signature.args
    positional = [*arguments.posonlyargs, *arguments.args][1 if is_class else 0 :]
    positional += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    for first in positional:
        message = f"'{name}' has the parameter '{first.arg}', which is not a keyword of its own"
        remedy = "write every parameter after `*`, with a type: `def f(*, size: int = 3)`"
        place = Place(str(file), first.lineno, first.col_offset + 1)
        raise ConfigError(message, remedy=remedy, place=place)


def _parameter(
    argument: ast.arg, default: ast.expr | None, file: Path, descriptions: Mapping[str, str]
) -> Parameter:
    if argument.annotation is None:
        _refuse(file, argument.lineno, f"the parameter '{argument.arg}' has no type")
    return Parameter(
        name=argument.arg,
        annotation=ast.unparse(argument.annotation),
        kind=_kind(argument.annotation, file),
        required=default is None,
        default=None if default is None else _literal(default, file, argument, "a default"),
        description=descriptions.get(argument.arg, ""),
    )


def _literal(node: ast.expr | None, file: Path, owner: Any, what: str) -> Any:
    if node is None:
        _refuse(file, owner.lineno, f"{what} is missing")
    try:
        return ast.literal_eval(node)
    except ValueError:
        _refuse(file, owner.lineno, f"{what} must be a literal, not `{ast.unparse(node)}`")


def _kind(node: ast.expr, file: Path) -> Any:
    """The type that an annotation means; a small language, so that no code is run."""
    if isinstance(node, ast.Constant) and node.value is None:
        return None
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return _kind(ast.parse(node.value, mode="eval").body, file)
    if isinstance(node, ast.Name) and node.id in _NAMES:
        return _NAMES[node.id]
    if isinstance(node, ast.Attribute) and ast.unparse(node) in ("nn.Module", "torch.nn.Module"):
        return Layers
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _kind(node.left, file) | _kind(node.right, file)
    if isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name):
        inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if node.value.id == "Literal":
            return Literal[tuple(ast.literal_eval(item) for item in inner)]
        kinds_inside = tuple(_kind(item, file) for item in inner)
        if node.value.id == "dict" and kinds_inside == (str, Layers):
            return NamedLayers
        if node.value.id in ("list", "dict"):
            return _NAMES[node.value.id][kinds_inside]
    return _refuse(file, node.lineno, f"the type `{ast.unparse(node)}` cannot be given in YAML")


_NAMES: dict[str, Any] = {
    **{kind.__name__: kind for kind in (int, float, bool, str, list, dict)},
    **{name: kind for name, kind in vars(kinds).items() if name[0].isupper()},
}


def _refuse(file: Path, line: int, message: str) -> NoReturn:
    place = Place(str(file), line, 1)
    raise ConfigError(message, remedy="see the built-in ones for the form", place=place)


def _descriptions(doc: str) -> dict[str, str]:
    """The `Args:` blocks of a docstring as a mapping; continuation lines are joined."""
    blocks = re.findall(r"^ *Args:\n((?: .*\n|\n)*)", doc + "\n", re.MULTILINE)
    pairs = re.findall(r"^    (\w+): (.*(?:\n(?!    \w+: ).*)*)", "".join(blocks), re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in pairs}
