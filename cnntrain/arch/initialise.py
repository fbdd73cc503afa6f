"""Initial weights, by rules that select layers by operation and name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn

from cnntrain.arch.init_schemes import MATRIX_ONLY, Scheme, fans_of, fill
from cnntrain.core.problems import suggestion


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
    """

    weight: Scheme | None = None
    bias: Scheme | None = None
    operation: str | None = None
    names: str | None = None

    def __str__(self) -> str:
        parts = [("layers", self.operation), ("names", self.names)]
        return ", ".join(f"{key}: {value}" for key, value in parts if value) or "all layers"


class InitRuleError(ValueError):
    """A rule that cannot be obeyed.

    Args:
        index: the rule's position, from 0.
        reason: why, with what to write after a semicolon.
    """

    def __init__(self, index: int, reason: str) -> None:
        super().__init__(reason)
        self.index = index


def initialise(
    net: nn.Module,
    rules: Sequence[InitRule],
    *,
    kinds: Mapping[str, str],
    generator: torch.Generator | None = None,
) -> None:
    """Set weights and biases in place; of several rules for a tensor, the last one counts.

    What no rule names keeps torch's initial values. Each tensor is drawn once, in the order of
    `net.named_modules()`, so the draws do not depend on overruled rules.

    Args:
        net: the network.
        rules: in the order in which they are written.
        kinds: dotted module name -> operation, of every planned layer. A module inside a planned
            layer (a residual's projection) is of its own torch type and of the layer's operation.
        generator: the source of random numbers, on the weights' device; None means torch's.

    Raises:
        InitRuleError: a rule matches nothing, gives a bias to layers without one, or gives biases a
            scheme for matrices.
    """
    modules = {
        name: module
        for name, module in net.named_modules()
        if _tensor(module, "weight") is not None
    }
    matches = [
        {name: module for name, module in modules.items() if _selects(rule, name, module, kinds)}
        for rule in rules
    ]
    for index, (rule, found) in enumerate(zip(rules, matches, strict=True)):
        try:
            _check(rule, found, modules, kinds)
        except ValueError as error:
            raise InitRuleError(index, str(error)) from error
    for name, module in modules.items():
        mine = [rule for rule, found in zip(rules, matches, strict=True) if name in found]
        _set(_tensor(module, "weight"), [r.weight for r in mine], module, generator)
        _set(_tensor(module, "bias"), [r.bias for r in mine], module, generator)


def _tensor(module: nn.Module, name: str) -> nn.Parameter | None:
    found = module._parameters.get(name)
    return found if isinstance(found, nn.Parameter) else None


def _set(
    tensor: Tensor | None,
    schemes: Sequence[Scheme | None],
    module: nn.Module,
    generator: torch.Generator | None,
) -> None:
    fitting = [scheme for scheme in schemes if tensor is not None and _fits(scheme, tensor)]
    if tensor is not None and fitting and fitting[-1] is not None:
        fill(tensor, fitting[-1], fans=fans_of(module), generator=generator)


def _fits(scheme: Scheme | None, tensor: Tensor) -> bool:
    return scheme is not None and (tensor.dim() >= 2 or not isinstance(scheme, MATRIX_ONLY))


_TORCH_TYPES: tuple[tuple[type[nn.Module], str], ...] = (
    (nn.Conv2d, "conv"),
    (nn.Linear, "linear"),
    (nn.modules.batchnorm._BatchNorm, "batch_norm"),
    (nn.PReLU, "prelu"),
)


def _operations(name: str, module: nn.Module, kinds: Mapping[str, str]) -> set[str]:
    """What a rule may call a module: its own operation, or its torch type and its owner's."""
    if name in kinds:
        return {kinds[name]}
    found = {operation for kind, operation in _TORCH_TYPES if isinstance(module, kind)}
    owner = name
    while owner:
        owner = owner.rpartition(".")[0]
        if owner in kinds:
            return found | {kinds[owner]}
    return found


def _selects(rule: InitRule, name: str, module: nn.Module, kinds: Mapping[str, str]) -> bool:
    if rule.names is not None and not fnmatchcase(name, rule.names):
        return False
    if rule.operation is not None:
        return rule.operation in _operations(name, module, kinds)
    weight = _tensor(module, "weight")
    return weight is not None and weight.dim() >= 2


def _check(
    rule: InitRule,
    found: Mapping[str, nn.Module],
    modules: Mapping[str, nn.Module],
    kinds: Mapping[str, str],
) -> None:
    """Refuse a rule that would not be obeyed."""
    start = f"the initialisation rule ({rule})"
    if isinstance(rule.bias, MATRIX_ONLY):
        kind = type(rule.bias).__name__.lower()
        raise ValueError(
            f"{start} gives biases the scheme {kind}, which needs a matrix; "
            f"use constant, normal or uniform"
        )
    if not found:
        remedy = _remedy(rule, modules, kinds)
        raise ValueError(f"{start} matches no layer with weights; {remedy}")
    weights = [_tensor(module, "weight") for module in found.values()]
    if rule.weight and not any(w is not None and _fits(rule.weight, w) for w in weights):
        kind = type(rule.weight).__name__.lower()
        raise ValueError(
            f"{start} gives {kind}, which needs a matrix, to weights that are factors; "
            f"use constant, normal or uniform"
        )
    if rule.bias and all(_tensor(module, "bias") is None for module in found.values()):
        raise ValueError(f"{start} gives a bias, but {next(iter(found))} has none; remove `bias:`")


def _remedy(rule: InitRule, modules: Mapping[str, nn.Module], kinds: Mapping[str, str]) -> str:
    """What to write instead of a rule that matches nothing."""
    operations = {
        name: sorted(_operations(name, module, kinds)) for name, module in modules.items()
    }
    known = sorted({operation for each in operations.values() for operation in each})
    if rule.operation is not None and rule.operation not in known:
        return suggestion(rule.operation, known)
    if rule.names is None:
        return "remove it"
    named = [name for name in modules if fnmatchcase(name, rule.names)]
    if named and rule.operation is None and operations[named[0]]:
        operation = operations[named[0]][0]
        return f"to set the factors of {named[0]}, add `layers: {operation}`"
    return suggestion(rule.names, modules)
