"""From the `finetune` section to what may move: which layers, from when on, at which rate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any

from torch import nn

from cnntrain.arch.build import build
from cnntrain.arch.plan import Plan
from cnntrain.arch.table import Learning, Share, frozen_at_first
from cnntrain.assemble.make_parts import make_groups
from cnntrain.assemble.networks import head_names
from cnntrain.config.loaded import Loaded
from cnntrain.config.train_section import FinetuneSection
from cnntrain.core.document import KeyPath
from cnntrain.core.errors import ConfigError
from cnntrain.core.patterns import covered, covers
from cnntrain.core.problems import Problem, near_match
from cnntrain.optim.groups import rate_factors
from cnntrain.train.recipe import Freezing

FREEZE = ("finetune", "freeze")


def make_freezing(loaded: Loaded, *, plan: Plan, net: nn.Module) -> Freezing:
    """Which layers are frozen, and until when.

    Raises:
        ConfigError: a pattern matches no layer with weights or has no effect, nothing learns in the
            first epoch, or a probe's network does not end in a linear layer; at its line.
    """
    finetune, train = loaded.config.finetune, loaded.config.train
    later = {} if train is None else train.freeze
    if finetune is None:
        freezing, problems = Freezing(later=later), []
    elif finetune.probe:
        head = probed_head(loaded, plan=plan, net=net)
        if later:
            message = "this has no effect on a linear probe, in which only the head learns"
            raise loaded.error(("train", "freeze"), message, "remove it")
        return Freezing(tuple(name for name, _ in net.named_children() if name != head))
    else:
        freezing = Freezing(finetune.freeze, finetune.unfreeze, later)
        problems = [
            *(
                problem
                for index, pattern in enumerate(finetune.freeze)
                for problem in _unmatched(loaded, pattern, (*FREEZE, index), net)
            ),
            *_unfreeze_problems(loaded, freezing, net),
            *_scale_problems(loaded, finetune, freezing, net),
        ]
    problems += _freeze_problems(loaded, freezing, net)
    names = [name for name, _ in net.named_parameters()]
    if not problems and all(freezing.is_frozen(name, epoch=1) for name in names):
        message = "all layers are frozen in the first epoch, so nothing would be trained"
        last = [node.name for node in plan.body.nodes if node.parameters][-1]
        remedy = f"leave out the last one, '{last}'"
        problems.append(loaded.problem(FREEZE, message, remedy))
    if problems:
        raise ConfigError.of(problems)
    return freezing


def probed_head(loaded: Loaded, *, plan: Plan, net: nn.Module) -> str:
    """The name of the last layer, which alone learns in a linear probe.

    Raises:
        ConfigError: it is not linear, or all there is, or not all of the head.
    """
    name = plan.body.nodes[-1].name
    own = {name, *(head for head, *_ in plan.aux)}
    others = [each for each in head_names(loaded, plan) if each.partition(".")[0] not in own]
    message = ""
    if not isinstance(net.get_submodule(name), nn.Linear):
        message = f"a probe needs a network whose last layer is linear, and '{name}' is not"
    elif len(plan.body.nodes) == 1:
        message = f"a probe needs layers before the last one, but '{name}' is all there is"
    elif others:
        message = (
            f"a probe trains the last layer, '{name}', but the shape of '{min(others)}' depends on "
            "the number of classes, too"
        )
    if message:
        raise loaded.error(("finetune", "probe"), message, "use finetune.freeze instead")
    return name


def make_rates(finetune: FinetuneSection, *, plan: Plan, net: nn.Module) -> dict[str, float]:
    """The factor of each parameter's learning rate, by its name."""
    return rate_factors(
        [name for name, _ in net.named_parameters()],
        stages=[node.name for node in plan.body.nodes if node.parameters],
        decay=finetune.layer_decay or 1.0,
        scales=finetune.lr_scale,
    )


def check_groups(loaded: Loaded, *, net: nn.Module) -> None:
    """Refuse groups of the optimizer's that have no effect on what ever learns.

    Raises:
        ConfigError: with all of them, each at its line.
    """
    optimizer = loaded.train.optimizer
    problems: list[Problem] = []
    for index, group in enumerate(optimizer.groups):
        try:
            make_groups(net, optimizer=optimizer.model_copy(update={"groups": (group,)}))
        except ConfigError as error:
            place = loaded.document.places.of(("train", "optimizer", "groups", index, "names"))
            problems += [replace(problem, place=place) for problem in error.problems]
    if problems:
        raise ConfigError.of(problems)


def what_learns(loaded: Loaded, *, plan: Plan) -> Learning | None:
    """What of the network learns, from when on and how fast; None where nothing is trained.

    Raises:
        ConfigError: see `make_freezing` and `check_groups`.
    """
    train = loaded.config.train
    if train is None:
        return None
    net = build(plan, device="meta")
    freezing = make_freezing(loaded, plan=plan, net=net)
    freezing.hold(net, epoch=None)
    check_groups(loaded, net=net)
    finetune = loaded.config.finetune
    rates = {} if finetune is None else make_rates(finetune, plan=plan, net=net)
    groups = make_groups(net, optimizer=train.optimizer, rates=rates)
    named = [{**group, "param_names": [name for name, _ in group["params"]]} for group in groups]
    return learning_of(net, freezing=freezing, groups=named)


def learning_of(
    net: nn.Module, *, freezing: Freezing, groups: Iterable[Mapping[str, Any]]
) -> Learning:
    """What of a network learns, by the optimizer's groups of parameters."""
    factors = {name: group["lr_factor"] for group in groups for name in group["param_names"]}
    return {
        name: Share(
            freezing.begins(name), factors.get(name, 0.0), parameter.numel(), freezing.ends(name)
        )
        for name, parameter in net.named_parameters()
    }


def in_words(learning: Learning, *, lr: float) -> list[tuple[str, str]]:
    """What a run says of it at its start: label and text; nothing where all learns alike."""
    if len({share.how for share in learning.values()}) == 1:
        return []
    return [*_frozen_in_words(learning), *_rates_in_words(learning, lr)]


def _frozen_in_words(learning: Learning) -> Iterator[tuple[str, str]]:
    shares = learning.values()
    still, total = frozen_at_first(shares), sum(share.parameters for share in shares)
    parts = [f"{still:,} of {total:,} weights are frozen"] if still else []
    for epoch in sorted({share.from_epoch or 1 for share in shares} - {1}):
        sizes = [share.parameters for share in shares if share.from_epoch == epoch]
        parts.append(f"{sum(sizes):,} of them learn from epoch {epoch} on")
    for epoch in sorted({share.until or 0 for share in shares} - {0}):
        sizes = [share.parameters for share in shares if share.until == epoch]
        parts.append(f"{sum(sizes):,} of {total:,} weights are frozen from epoch {epoch} on")
    if parts:
        yield "frozen", "; ".join(parts)


def _rates_in_words(learning: Learning, lr: float) -> Iterator[tuple[str, str]]:
    rates: dict[str, list[float]] = {}
    for name, share in learning.items():
        if share.from_epoch is not None:
            rates.setdefault(name.partition(".")[0], []).append(share.lr_factor)
    texts = [(stage, _range(factors, lr)) for stage, factors in rates.items()]
    if len({text for _, text in texts}) > 1:
        parts = []
        for text, same in groupby(texts, key=lambda pair: pair[1]):
            stages = [stage for stage, _ in same]
            parts.append(f"{' to '.join(dict.fromkeys((stages[0], stages[-1])))} {text}")
        yield "rates", ", ".join(parts)


def _range(factors: Iterable[float], lr: float) -> str:
    ends = dict.fromkeys((min(factors), max(factors)))
    return "-".join(f"{lr * factor:.3g}" for factor in ends)


def _unfreeze_problems(loaded: Loaded, freezing: Freezing, net: nn.Module) -> Iterator[Problem]:
    tensors = list(net.state_dict())
    for epoch in sorted(freezing.until):
        before = [name for name in tensors if freezing.is_frozen(name, epoch=epoch - 1)]
        for index, pattern in enumerate(freezing.until[epoch]):
            path = ("finetune", "unfreeze", str(epoch), index)
            unmatched = list(_unmatched(loaded, pattern, path, net))
            yield from unmatched
            if not unmatched and not any(covers(pattern, name) for name in before):
                message = f"'{pattern}' has no effect: none of it is frozen before epoch"
                remedy = "remove it, or freeze it (finetune.freeze)"
                yield loaded.problem(path, f"{message} {epoch}", remedy)


def _freeze_problems(loaded: Loaded, freezing: Freezing, net: nn.Module) -> Iterator[Problem]:
    """What is wrong with `train.freeze`: no such layer, no effect, nothing that learns then."""
    tensors, names = list(net.state_dict()), [name for name, _ in net.named_parameters()]
    for epoch in sorted(freezing.later):
        at = ("train", "freeze", str(epoch))
        if epoch == 1:
            message = "layers that are frozen from epoch 1 on never learn"
            yield loaded.problem(at, message, "raise the epoch, or remove this", key=True)
            continue
        if epoch > loaded.train.epochs:
            message = f"epoch {epoch} is never reached: training has {loaded.train.epochs}"
            yield loaded.problem(at, message, "lower it, or raise train.epochs", key=True)
            continue
        for index, pattern in enumerate(freezing.later[epoch]):
            unmatched = list(_unmatched(loaded, pattern, (*at, index), net))
            yield from unmatched
            matched = [name for name in tensors if covers(pattern, name)]
            if not unmatched and all(freezing.is_frozen(name, epoch=epoch - 1) for name in matched):
                message = f"'{pattern}' has no effect: all of it is frozen before epoch {epoch}"
                yield loaded.problem((*at, index), message, "remove it, or raise the epoch")
        if all(freezing.is_frozen(name, epoch=epoch) for name in names):
            message = f"all layers are frozen in epoch {epoch}, so nothing would be trained"
            yield loaded.problem(at, message, "leave out the last one", key=True)


def _scale_problems(
    loaded: Loaded, finetune: FinetuneSection, freezing: Freezing, net: nn.Module
) -> Iterator[Problem]:
    names = [name for name, _ in net.named_parameters()]
    for pattern in finetune.lr_scale:
        matched = [name for name in names if covers(pattern, name)]
        path = ("finetune", "lr_scale", pattern)
        if not matched:
            message = f"'{pattern}' matches no layer with weights"
            yield loaded.problem(path, message, _remedy(pattern, net), key=True)
        elif all(freezing.begins(name) is None for name in matched):
            message = f"'{pattern}' has no effect: everything it matches is frozen"
            yield loaded.problem(path, message, "remove it, or do not freeze it", key=True)


def _unmatched(loaded: Loaded, pattern: str, path: KeyPath, net: nn.Module) -> Iterator[Problem]:
    """What is wrong with a pattern that matches no layer with weights or statistics."""
    named = [(name, module) for name, module in net.named_modules() if name]
    matched = [module for name, module in named if fnmatchcase(name, pattern)]
    if any(module.state_dict() for module in matched):
        return
    message = f"'{pattern}' matches no layer"
    if matched:
        message = f"'{pattern}' matches only layers without weights"
    elif any(covered([pattern], name) for name, _ in net.named_parameters()):
        message = f"'{pattern}' matches single weights, but a layer is frozen as a whole"
    yield loaded.problem(path, message, _remedy(pattern, net))


def _remedy(pattern: str, net: nn.Module) -> str:
    layers = [name for name, module in net.named_modules() if name and module.state_dict()]
    near = near_match(pattern, layers)
    if near is not None and near != pattern:
        return f"did you mean '{near}'?"
    outermost = ", ".join(name for name in layers if "." not in name)
    return f"layers with weights are {outermost}, and those in them (`cnntrain summary`)"
