"""Check `connections`: does every layer learn?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.faults import DAMPED
from cnntrain.diagnose.modules import owners
from cnntrain.diagnose.report import Finding, Report, Table
from cnntrain.optim import set_learning_rate
from cnntrain.show.words import listed
from cnntrain.train.briefly import Method, steady_copy
from cnntrain.train.learner import Learner
from cnntrain.train.step import forward_backward, update

STEPS = 4


@dataclass
class _Layer:
    """What happened to one layer's own parameters over some steps."""

    name: str
    parameters: int
    frozen: int
    rests: bool
    reached: bool = False
    largest: float = 0.0

    @property
    def learns(self) -> str:
        """`zero` where what reaches it is exactly that."""
        return "no" if self.rests or not self.reached else "yes" if self.largest else "zero"


@check("connections", place=3)
def check_connections(
    *, net: nn.Module, batches: Sequence[Batch], bare: Method, is_pretrained: bool = False
) -> Report:
    """Train a copy for a few steps, each on a batch, and see which layers get a gradient.

    Several steps, since a last layer that starts at zero lets the gradient through only after its
    first step. Dropout and stochastic depth are off, so what gets none never will.

    Args:
        net: the network; it is not changed.
        batches: of training images; the first are taken.
        bare: how the run trains, without what holds the weights back.
        is_pretrained: whether frozen layers hold weights that were learnt before.
    """
    moving = steady_copy(net)
    learner = Learner(moving, bare.make_optimizer(moving), precision=bare.precision)
    layers = _layers(moving, learner)
    for batch in batches[:STEPS]:
        set_learning_rate(learner.optimizer, bare.recipe.lr)
        done = forward_backward(learner, batch, criterion=bare.criterion, recipe=bare.recipe)
        for layer, (_, own) in zip(layers, owners(moving), strict=True):
            grads = [p.grad for p in own if p.grad is not None]
            layer.reached |= bool(grads)
            layer.largest = max([layer.largest, *(float(g.abs().max()) for g in grads)])
        update(learner, done, recipe=bare.recipe)
        learner.state.step += 1
        if learner.state.diverged:
            break
    steps = min(len(batches), STEPS)
    cuts = _cutting(steady_copy(net), batches[0])
    findings = (
        *_findings(layers, cuts, steps=steps, is_pretrained=is_pretrained),
        *_unknown(net, batches[0], known=sum(layer.parameters for layer in layers)),
    )
    frozen = sum(layer.rests for layer in layers)
    headline = f"all {len(layers)} layers with weights get a gradient"
    if frozen and is_pretrained:
        headline = f"{len(layers) - frozen} of {len(layers)} layers learn, the others rest"
    return Report(
        "connections",
        findings[0].headline if findings else headline,
        findings,
        numbers={"layers": len(layers), "frozen": frozen},
        tables=(_table(layers),),
    )


def _layers(net: nn.Module, learner: Learner) -> list[_Layer]:
    rates = {
        id(parameter): group["lr_factor"]
        for group in learner.optimizer.param_groups
        for parameter in group["params"]
    }
    layers = []
    for name, own in owners(net):
        parameters = sum(p.numel() for p in own)
        frozen = sum(p.numel() for p in own if not p.requires_grad)
        rests = frozen == parameters or not any(rates.get(id(p)) for p in own)
        layers.append(_Layer(name, parameters, frozen, rests))
    return layers


def _cutting(net: nn.Module, batch: Batch) -> tuple[str, ...]:
    """The innermost layers that read what has a gradient, and give on what has none."""
    found: list[str] = []

    def look(name: str, _module: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        given = [each for each in inputs if isinstance(each, Tensor)]
        is_cut = isinstance(output, Tensor) and not output.requires_grad
        if is_cut and any(each.requires_grad for each in given):
            found.append(name)

    with ExitStack() as hooks, torch.enable_grad():
        for name, module in net.named_modules():
            hooks.callback(module.register_forward_hook(partial(look, name)).remove)
        net(batch.images[:2])
    inner = [name for name in found if name]
    return tuple(n for n in inner if not any(each.startswith(f"{n}.") for each in inner))


def _unknown(net: nn.Module, batch: Batch, *, known: int) -> Iterator[Finding]:
    """Weights that outputs depend on, and that are no parameters of the network: nobody moves them.

    They are what the graph of the outputs ends in (its leaves).
    """
    judged = steady_copy(net)
    own = {id(parameter) for parameter in judged.parameters()}
    with torch.enable_grad():
        outputs = judged(batch.images[:2])
    strange, seen, left = [], set(), [outputs.grad_fn]
    while left:
        node = left.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor) and id(leaf) not in own:
            strange.append(leaf)
        left += [following for following, _ in node.next_functions]
    if not strange:
        return
    count = sum(each.numel() for each in strange)
    guilty = tuple(name for name, module in judged.named_modules() if name and _holds(module))
    called = listed([f"'{name}'" for name in guilty])
    where = f" of {called}" if guilty else ""
    yield Finding(
        "frozen_layer",
        f"{count:,} weights{where} are no parameters of the network: they never learn",
        f"the outputs depend on {len(strange)} tensors that no optimizer knows, with {count:,} "
        f"numbers; the network has {known:,} parameters",
        "keep layers in `nn.ModuleList` and weights as `nn.Parameter`, made in `__init__`: what is "
        "in a plain list, or made in `forward`, is not registered",
        follows=("random_evaluation",),
        layers=guilty,
    )


def _holds(module: nn.Module) -> bool:
    """Whether modules or weights stand in an attribute where they are not registered."""
    kept = vars(module).items()
    hidden = [value for name, value in kept if name not in ("_modules", "_parameters", "_buffers")]
    inside = [each for value in hidden if isinstance(value, list | tuple) for each in value]
    inside += [each for value in hidden if isinstance(value, dict) for each in value.values()]
    return any(
        isinstance(each, nn.Module) or (isinstance(each, Tensor) and each.requires_grad)
        for each in (*hidden, *inside)
    )


def _findings(
    layers: Sequence[_Layer], cuts: tuple[str, ...], *, steps: int, is_pretrained: bool
) -> Iterator[Finding]:
    still = [layer for layer in layers if layer.rests]
    cut = [layer for layer in layers if layer.learns == "no" and not layer.rests]
    silent = [layer for layer in layers if layer.learns == "zero"]
    if still and not is_pretrained:
        yield Finding(
            "frozen_layer",
            f"{_called(still)} cannot learn, and start from random weights",
            f"{_share(still, layers)} of the parameters are frozen: they need no gradient, or "
            "their learning rate is 0",
            "let them learn (remove `lr_factor: 0` or what freezes them), or start from trained "
            "weights",
        )
    if cut:
        yield Finding(
            "detached_layer",
            f"the gradient does not reach {_called(cut)}",
            f"no gradient came in {steps} steps: nothing after the layer depends on it as far as "
            "autograd sees",
            "look for `detach`, `no_grad`, `.data` or a comparison in "
            + (listed([f"'{name}'" for name in cuts]) if cuts else "the layers after it"),
            layers=cuts,
        )
    if silent:
        yield Finding(
            "no_gradient",
            f"the gradient of {_called(silent)} is exactly 0",
            f"in {steps} steps, for {_share(silent, layers)} of the parameters",
            "look at the layers after it: dead rectifiers, saturated units, weights of zero",
            follows=DAMPED,
        )


def _called(layers: Sequence[_Layer]) -> str:
    return listed([f"'{layer.name}'" for layer in layers])


def _share(some: Sequence[_Layer], layers: Sequence[_Layer]) -> str:
    total = sum(layer.parameters for layer in layers)
    return f"{sum(layer.parameters for layer in some) / max(1, total):.1%}"


def _table(layers: Sequence[_Layer]) -> Table:
    rows = tuple(
        (each.name, each.parameters, each.frozen, each.learns, each.largest) for each in layers
    )
    columns = ("layer", "parameters", "frozen", "learns", "largest derivative")
    return Table("what each layer gets", columns, rows)
