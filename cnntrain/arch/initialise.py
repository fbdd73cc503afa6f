"""Initial weights: the `init:` section of an architecture, read and obeyed.

Its rules select layers by operation and name:

init:
  - {layers: conv, weight: {kaiming: {mode: fan_out}}}
  - {names: "fc*", weight: {normal: {std: 0.01}}, bias: 0}
"""

from __future__ import annotations

import dataclasses
import re
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from torch import nn

from cnntrain.arch import init_schemes
from cnntrain.arch.description import Description
from cnntrain.arch.init_schemes import MATRIX_ONLY, Constant, Scheme, fans_of, fill
from cnntrain.arch.items import Reader
from cnntrain.core.complaints import shown
from cnntrain.core.document import KeyPath
from cnntrain.core.entry import Entry, Parameter
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import suggestion

RULE_KEYS = ("layers", "names", "weight", "bias")
REMEDY = "use constant, normal or uniform"
"""Where a scheme needs a matrix."""
TORCH_TYPES: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.Conv2d, "conv"),
    (nn.Linear, "linear"),
    (nn.modules.batchnorm._BatchNorm, "batch_norm"),
    (nn.PReLU, "prelu"),
)


@dataclass(frozen=True)
class InitRule:
    """Which layers get which initial weights and biases.

    Attributes:
        weight: the weights' scheme; None leaves them as they are.
        bias: the biases' scheme; None leaves them as they are.
        operation: the layer that made the module (`conv`, `linear`, `batch_norm`); None means
            every layer whose weight is a matrix or a kernel. Normalisations and prelu, whose
            weights are factors, must therefore be named.
        names: a shell pattern for the module's dotted name, such as `stem.*`; None means any.
        path: where the rule stands.
    """

    weight: Scheme | None = None
    bias: Scheme | None = None
    operation: str | None = None
    names: str | None = None
    path: KeyPath = ()

    def __str__(self) -> str:
        parts = [("layers", self.operation), ("names", self.names)]
        return ", ".join(f"{key}: {value}" for key, value in parts if value) or "all layers"


class InitRuleError(ValueError):
    """A rule that cannot be obeyed: why, with what to write after a semicolon."""

    def __init__(self, rule: InitRule, reason: str) -> None:
        super().__init__(f"the initialisation rule ({rule}) {reason}")
        self.path = rule.path


def read_init_rules(description: Description) -> tuple[InitRule, ...]:
    """The rules of an architecture.

    Raises:
        ConfigError: unknown keys or schemes, wrong parameters; all of them.
    """
    reader = Reader(description.reader.document)
    rules = tuple(_read_rule(rule, path, reader) for path, rule in description.init)
    if reader.problems:
        raise ConfigError.of(reader.problems)
    return rules


def _read_rule(rule: Mapping[str, Any], path: KeyPath, reader: Reader) -> InitRule:
    reader.add_unknown(rule, path, RULE_KEYS, "an initialisation rule")
    for key in ("layers", "names"):
        if not isinstance(rule.get(key, ""), str):
            message = f"'{key}' must be a string, not {shown(rule[key])}"
            reader.add((*path, key), message, "name one layer type, or one pattern")
            return InitRule()
    if rule.get("weight") is None and rule.get("bias") is None:
        reader.add(path, "the rule sets neither `weight` nor `bias`", "add one of them")
    weight, bias = (
        _read_scheme(rule[key], (*path, key), reader) if rule.get(key) is not None else None
        for key in ("weight", "bias")
    )
    return InitRule(weight, bias, rule.get("layers"), rule.get("names"), path)


def _read_scheme(raw: Any, path: KeyPath, reader: Reader) -> Scheme | None:
    if isinstance(raw, int | float) and not isinstance(raw, bool):
        return Constant(float(raw))
    name: Any = raw
    given: Any = {}
    if isinstance(raw, Mapping) and len(raw) == 1:
        ((name, given),) = raw.items()
        path = (*path, name)
    schemes = {_yaml_name(kind): kind for kind in typing.get_args(Scheme)}
    if not isinstance(name, str) or name not in schemes:
        what = f"'{name}'" if isinstance(name, str) else shown(name)
        message = f"unknown initialisation {what}"
        reader.add(path, message, suggestion(str(name), schemes), key=name is not raw)
        return None
    entry = _entry(name, schemes[name])
    if not isinstance(given, Mapping):
        message = f"the parameters of '{name}' must be a mapping, not {shown(given)}"
        reader.add(path, message, f"write {entry.with_parameter(given)}")
        return None
    keywords, found = entry.check(given)
    for complaint in found:
        where = (*path, *complaint.path)
        reader.add(where, complaint.message, complaint.remedy, key=complaint.at_key)
    scheme: Scheme | None = None if found else schemes[name](**keywords)
    return scheme


def _yaml_name(scheme: type[Scheme]) -> str:
    """`truncated_normal` of TruncatedNormal."""
    return re.sub(r"(?<=.)(?=[A-Z])", "_", scheme.__name__).lower()


def _entry(name: str, scheme: type[Scheme]) -> Entry:
    """A scheme's parameters, as those of a registered choice."""
    hints = typing.get_type_hints(scheme)
    parameters = (
        Parameter(
            field.name,
            annotation=str(field.type),
            kind=hints[field.name],
            required=field.default is dataclasses.MISSING,
            default=field.default,
            description="",
        )
        for field in dataclasses.fields(scheme)
    )
    return Entry(name, Path(init_schemes.__file__), 1, "", tuple(parameters), ())


def initialise(net: nn.Module, rules: Sequence[InitRule], *, kinds: Mapping[str, str]) -> None:
    """Set weights and biases in place; of several rules for a tensor, the last one counts.

    What no rule names keeps torch's initial values. Each tensor is drawn once, from torch's random
    state, in the order of `net.named_modules()`, so the draws do not depend on overruled rules.

    Args:
        net: the network.
        rules: in the order in which they are written.
        kinds: dotted module name -> operation, of every planned layer. A module inside a planned
            layer (a residual's projection) is of its own torch type and of the layer's operation.

    Raises:
        InitRuleError: a rule matches nothing, gives a bias to layers without one, or gives biases a
            scheme for matrices.
    """
    modules = {
        name: module
        for name, module in net.named_modules()
        if any(_tensor(module, part) is not None for part in ("weight", "bias"))
    }
    operations = {name: _operations(name, module, kinds) for name, module in modules.items()}
    matches = []
    for rule in rules:
        found = [name for name in modules if _selects(rule, name, modules[name], operations[name])]
        _check(rule, {name: modules[name] for name in found}, operations)
        matches.append((rule, set(found)))
    for name, module in modules.items():
        mine = [rule for rule, found in matches if name in found]
        for part in ("weight", "bias"):
            tensor = _tensor(module, part)
            schemes = [rule.weight if part == "weight" else rule.bias for rule in mine]
            fitting = [scheme for scheme in schemes if _fits(scheme, tensor)]
            if tensor is not None and fitting and fitting[-1] is not None:
                groups = int(getattr(module, "groups", 1)) if tensor.dim() > 2 else 1
                fill(tensor, fitting[-1], fans=fans_of(module), groups=groups)


def _tensor(module: nn.Module, name: str) -> nn.Parameter | None:
    found = module._parameters.get(name)
    return found if isinstance(found, nn.Parameter) else None


def _fits(scheme: Scheme | None, tensor: nn.Parameter | None) -> bool:
    if scheme is None or tensor is None:
        return False
    return tensor.dim() >= 2 or not isinstance(scheme, MATRIX_ONLY)


def _operations(name: str, module: nn.Module, kinds: Mapping[str, str]) -> set[str]:
    """What a rule may call a module: its own operation, or its torch type and its owner's."""
    if name in kinds:
        return {kinds[name]}
    found = {operation for kind, operation in TORCH_TYPES if isinstance(module, kind)}
    while name:
        name = name.rpartition(".")[0]
        if name in kinds:
            return found | {kinds[name]}
    return found


def _selects(rule: InitRule, name: str, module: nn.Module, operations: set[str]) -> bool:
    if rule.names is not None and not fnmatchcase(name, rule.names):
        return False
    if rule.operation is not None:
        return rule.operation in operations
    weight = _tensor(module, "weight")
    return weight is not None and weight.dim() >= 2


def _check(
    rule: InitRule, found: Mapping[str, nn.Module], operations: Mapping[str, set[str]]
) -> None:
    """Refuse a rule that would not be obeyed.

    Args:
        rule: the rule.
        found: the modules that it selects.
        operations: what a rule may call each module that has weights.
    """
    if isinstance(rule.bias, MATRIX_ONLY):
        what = f"the scheme {_yaml_name(type(rule.bias))}, which needs a matrix"
        raise InitRuleError(rule, f"gives biases {what}; {REMEDY}")
    if not found:
        remedy = _remedy(rule, operations)
        raise InitRuleError(rule, f"matches no layer with weights; {remedy}")
    if rule.weight and all(_tensor(module, "weight") is None for module in found.values()):
        reason = f"gives a weight, but {next(iter(found))} has none of its own; remove `weight:`"
        raise InitRuleError(rule, reason)
    if rule.weight and not any(_fits(rule.weight, _tensor(m, "weight")) for m in found.values()):
        what = f"{_yaml_name(type(rule.weight))}, which needs a matrix,"
        raise InitRuleError(rule, f"gives {what} to weights that are factors; {REMEDY}")
    if rule.bias and all(_tensor(module, "bias") is None for module in found.values()):
        reason = f"gives a bias, but {next(iter(found))} has none; remove `bias:`"
        raise InitRuleError(rule, reason)


def _remedy(rule: InitRule, operations: Mapping[str, set[str]]) -> str:
    """What to write instead of a rule that matches nothing."""
    known = sorted(set().union(*operations.values()))
    if rule.operation is not None and rule.operation not in known:
        return suggestion(rule.operation, known)
    if rule.names is None:
        return "remove it"
    named = [name for name in operations if fnmatchcase(name, rule.names)]
    if named and rule.operation is None and operations[named[0]]:
        return f"to set the factors of {named[0]}, add `layers: {min(operations[named[0]])}`"
    return suggestion(rule.names, operations)
