"""Parameter groups: which weights decay, and whose learning rate differs.

Weight decay is for the weights of linear maps. It is not applied to biases, nor to the scale and
shift of a normalisation layer (which only change the effective learning rate when they shrink), nor
to the slopes of PReLU (He et al. 2015, section 2.1: decay would push them to zero), unless
`decay_norm_and_bias`. What a parameter is, follows from the type of the module that owns it and
from its own name there, never from a piece of a long name. A layer of one's own names such
parameters in an attribute `undecayed`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypedDict

from torch import Tensor, nn
from torch.optim import Optimizer

from cnntrain.core.errors import ConfigError
from cnntrain.core.patterns import covers
from cnntrain.core.problems import near_match
from cnntrain.show.words import listed

UNDECAYED_MODULES: tuple[type[nn.Module], ...] = (
    nn.modules.batchnorm._NormBase,  # batch and instance normalisation of every dimension
    nn.GroupNorm,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.PReLU,
)


@dataclass(frozen=True)
class GroupRule:
    """Special treatment for the parameters whose names match a pattern.

    Args:
        names: shell pattern (`*`, `?`, `[..]`), case matters; it matches a parameter
            (`fc1.weight`, `*.bias`) or a module with all that is in it (`fc*`, `features.conv1`).
        lr_factor: multiplies the learning rate (None: 1); 0 freezes the weights, though not a batch
            norm's statistics.
        weight_decay: replaces the run's weight decay; None keeps it. Parameters that do not decay
            (see the module) stay so.
    """

    names: str
    lr_factor: float | None = None
    weight_decay: float | None = None


class ParameterGroup(TypedDict):
    """One of torch's parameter groups; torch saves and reports the additional keys.

    `exempt` are the names of those that are of no kind that decays, `decayed` whether there are
    others.
    """

    params: list[tuple[str, nn.Parameter]]
    weight_decay: float
    lr_factor: float
    decayed: bool
    anchored: bool
    exempt: list[str]


class _Owned(NamedTuple):
    name: str
    parameter: nn.Parameter
    exempt: bool


def parameter_groups(
    model: nn.Module,
    *,
    weight_decay: float = 0.0,
    rules: Sequence[GroupRule] = (),
    decay_norm_and_bias: bool = False,
    rates: Mapping[str, float] | None = None,
    anchored: Collection[str] = (),
) -> list[ParameterGroup]:
    """The trainable parameters of a model, in groups of equal treatment, in the model's order.

    Rules are applied in the given order; where several match one parameter, a later one overrides
    what it states and keeps the rest.

    Args:
        model: its parameters with `requires_grad`.
        weight_decay: torch's: the gradient of `weight_decay / 2 * |w|^2` is added.
        rules: exceptions by name.
        decay_norm_and_bias: let biases, norm layers and PReLU slopes decay too.
        rates: further factors of the learning rate, by the parameter's name; 1 for others.
        anchored: names of parameters that decay towards their starting point in place of zero
            (L2-SP, which the training loop adds): those of them that would decay are put into
            groups marked `anchored`, and `weight_decay` is not for them; a rule's is.

    Raises:
        ConfigError: a rule that matches nothing, or whose weight decay would reach nothing.
    """
    owned = list(_owned_parameters(model, decay_norm_and_bias=decay_norm_and_bias))
    for rule in rules:
        _check_rule(rule, owned, model)
    groups: dict[tuple[float, float, bool, bool], ParameterGroup] = {}
    for one in (one for one in owned if one.parameter.requires_grad):
        is_anchored = one.name in anchored and not one.exempt
        factor, decay = 1.0, 0.0 if is_anchored else weight_decay
        for rule in rules:
            if covers(rule.names, one.name):
                factor = rule.lr_factor if rule.lr_factor is not None else factor
                decay = rule.weight_decay if rule.weight_decay is not None else decay
        factor *= (rates or {}).get(one.name, 1.0)
        decay = 0.0 if one.exempt else decay
        new = ParameterGroup(
            params=[],
            weight_decay=decay,
            lr_factor=factor,
            decayed=not one.exempt,
            anchored=is_anchored,
            exempt=[],
        )
        group = groups.setdefault((factor, decay, one.exempt, is_anchored), new)
        group["params"].append((one.name, one.parameter))
        group["exempt"] += [one.name] if one.exempt else []
    return list(groups.values())


def merged(groups: Iterable[ParameterGroup]) -> list[ParameterGroup]:
    """One group in place of those that are treated equally.

    torch's optimizers call a kernel for each group, which takes 10 to 20 us a step. Without weight
    decay two groups differ in `decayed` alone; optimizers that read it need them as they are.
    """
    found: dict[tuple[float, float, bool], ParameterGroup] = {}
    for group in groups:
        key = (group["lr_factor"], group["weight_decay"], group["anchored"])
        if key not in found:
            found[key] = {**group, "params": [], "decayed": False, "exempt": []}
        whole = found[key]
        whole["params"] += group["params"]
        whole["exempt"] += group["exempt"]
        whole["decayed"] = whole["decayed"] or group["decayed"]
    return list(found.values())


def rate_factors(
    names: Iterable[str],
    *,
    stages: Sequence[str] = (),
    decay: float = 1.0,
    scales: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """The factor of each parameter's learning rate: that of its stage times that of its pattern.

    Early layers of a trained network are of general use and need to change little: a small rate
    for them, a larger one for later layers (discriminative fine-tuning: Howard and Ruder,
    "Universal Language Model Fine-tuning for Text Classification", 2018, section 3.2).

    Args:
        names: of the parameters.
        stages: the outermost layers with weights, in order; the last is the head.
        decay: a stage's factor is this times the one of the stage after it, and the head's is 1;
            so is that of what is in no stage. The paper divides by 2.6.
        scales: factor by pattern; of several that cover a name, the last counts.
    """
    by_stage = {name: decay**away for away, name in enumerate(reversed(stages))}
    factors = {}
    for name in names:
        matching = [factor for pattern, factor in (scales or {}).items() if covers(pattern, name)]
        own = matching[-1] if matching else 1.0
        factors[name] = by_stage.get(name.partition(".")[0], 1.0) * own
    return factors


def set_learning_rate(optimizer: Optimizer, lr: float) -> None:
    """Give every group `lr` times its own `lr_factor`; where it is kept on the device, there."""
    for group in optimizer.param_groups:
        rate = lr * group["lr_factor"]
        if isinstance(group["lr"], Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate


def anchored_weights(optimizer: Optimizer) -> dict[str, Tensor]:
    """A copy of each parameter that decays towards its starting point, by name."""
    return {
        name: parameter.detach().clone()
        for group in optimizer.param_groups
        if group["anchored"]
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
    }


def decayed_weights(optimizer: Optimizer) -> list[Tensor]:
    """The parameters that decay: not biases and norms, what L1 also applies to."""
    return [
        parameter
        for group in optimizer.param_groups
        for name, parameter in zip(group["param_names"], group["params"], strict=True)
        if name not in group["exempt"]
    ]


def _owned_parameters(model: nn.Module, *, decay_norm_and_bias: bool) -> Iterator[_Owned]:
    for name, parameter in model.named_parameters():
        prefix, _, own_name = name.rpartition(".")
        module = model.get_submodule(prefix)
        undecayed = ("bias", *getattr(module, "undecayed", ()))
        exempt = isinstance(module, UNDECAYED_MODULES) or own_name in undecayed
        yield _Owned(name, parameter, exempt and not decay_norm_and_bias)


def _check_rule(rule: GroupRule, owned: Sequence[_Owned], model: nn.Module) -> None:
    matched = [one for one in owned if covers(rule.names, one.name)]
    if not matched:
        modules = [name for name, _ in model.named_modules() if name]
        near = near_match(rule.names, [*modules, *(one.name for one in owned)])
        raise ConfigError(
            f"the group pattern '{rule.names}' matches no parameter",
            remedy=f"did you mean '{near}'?" if near else f"modules are {listed(modules, most=12)}",
        )
    if not any(one.parameter.requires_grad for one in matched):
        raise ConfigError(
            f"the group '{rule.names}' has no effect: everything it matches is frozen",
            remedy="remove it, or let some of it learn",
        )
    if rule.weight_decay and all(one.exempt for one in matched):
        raise ConfigError(
            f"the weight decay of the group '{rule.names}' would reach nothing: "
            "all that it matches are biases, norm layers or PReLU slopes",
            remedy="set decay_norm_and_bias: true, or remove weight_decay there",
        )
