"""Check `gradients`: is the backward pass right, and does its result reach every layer?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.differences import WRONG, Difference, compare, in_float64
from cnntrain.diagnose.drawing import bars_by_layer
from cnntrain.diagnose.faults import SILENT
from cnntrain.diagnose.jacobians import wrong_layers
from cnntrain.diagnose.modules import owners
from cnntrain.diagnose.report import Finding, Plot, Report, Table
from cnntrain.diagnose.signals import Signal, layer_signals, squashing
from cnntrain.show.words import listed
from cnntrain.train.briefly import Method, steady_copy, train_briefly

VANISHED = 1e-5
"""Share of the gradient at the outputs below which it is lost before the first layer."""

EXPLODED = 1e4

STEPS = 5
"""Real steps over which the updates are measured."""


@check("gradients", place=5)
def check_gradients(
    *,
    trained: nn.Module,
    small_batch: Batch,
    method: Method,
    weights: int = 200,
    images: int = 8,
    seed: int = 0,
) -> Report:
    """Finite differences in float64, and what of the gradient arrives at each layer.

    The derivatives are compared on a copy in float64, with dropout off and batch normalisation by
    the batch's own statistics, at weights that are moved a little: at initial biases of exactly 0
    a rectifier may stand on its kink.

    Args:
        trained: the network; it is not changed.
        small_batch: of the training images.
        method: how the run trains.
        weights: to be compared in all, at least one a tensor; of a network with more tensors so
            many, evenly chosen.
        images: of the batch, for the comparison.
        seed: seed of the random numbers of this check.
    """
    few = Batch(small_batch.images[:images], small_batch.targets[:images])
    compared = compare(trained, few, criterion=method.criterion, weights=weights, seed=seed)
    differences = [] if isinstance(compared, str) else compared
    by_tensor: dict[str, list[Difference]] = {}
    for difference in differences:
        by_tensor.setdefault(difference.parameter, []).append(difference)
    steady = steady_copy(trained)
    signals, loss = layer_signals(steady, small_batch, criterion=method.criterion)
    flow = _flow(steady, trained, small_batch, method=method, seed=seed)
    findings = (*_wrong(trained, few, by_tensor, seed=seed), *_lost_or_grown(signals, loss))
    worst = max(differences, key=lambda d: d.error, default=None)
    headline = f"{len(differences)} derivatives were compared with finite differences"
    if isinstance(compared, str):
        headline = f"derivatives could not be compared in float64: {compared}"
    elif worst is not None:
        headline = (
            f"{len(differences)} derivatives agree to {worst.error:.1g} with finite differences"
        )
    return Report(
        "gradients",
        findings[0].headline if findings else headline,
        findings,
        numbers={
            "weights_compared": len(differences),
            "largest_error": None if worst is None else worst.error,
            "at": None if worst is None else f"{worst.parameter}[{worst.index}]",
        },
        tables=(_difference_table(by_tensor), _flow_table(signals, flow)),
        pictures=_pictures(signals, flow),
    )


def _wrong(
    net: nn.Module, batch: Batch, by_tensor: Mapping[str, Sequence[Difference]], *, seed: int
) -> Iterator[Finding]:
    """The tensors of which most derivatives are wrong, and the layer that is to blame."""
    wrong = {
        name: each
        for name, each in by_tensor.items()
        if 2 * sum(difference.is_wrong for difference in each) >= len(each)
    }
    if not wrong:
        return
    worst = max((d for each in wrong.values() for d in each if d.is_wrong), key=lambda d: d.error)
    exact, few = in_float64(net, batch, seed=seed)
    guilty = wrong_layers(exact, few.images, seed=seed)
    places, alone = f"at or above {listed(list(wrong))}", ""
    if guilty:
        places = "in " + listed([f"'{layer.name}' ({layer.kind})" for layer in guilty])
        alone = (
            f"by itself it passes back {guilty[0].backward:.4g} along a direction in which its "
            f"outputs change by {guilty[0].numeric:.4g}; "
        )
    yield Finding(
        "wrong_gradient",
        f"the backward pass is wrong {places}",
        f"{alone}of {len(by_tensor)} weight tensors {len(wrong)} have wrong derivatives, such as "
        f"{worst.parameter}[{worst.index}]: {worst.backward:.4g} from the backward pass, "
        f"{worst.numeric:.4g} from finite differences",
        "correct its backward, or leave the backward pass to autograd",
        layers=tuple(layer.name for layer in guilty),
    )


def _lost_or_grown(signals: Sequence[Signal], loss: float) -> Iterator[Finding]:
    """Whether the gradient at the first layer's outputs is that at the last's, by magnitude."""
    if not math.isfinite(loss):
        yield Finding(
            "not_finite",
            f"the loss of the first batch is {loss}",
            "it was computed with the initial weights, before any step",
            "`cnntrain data check` looks at the images; look at the initial weights (check "
            "`initial`)",
        )
        return
    weighted = [(s.name, s.gradient) for s in signals if s.has_weights and s.gradient is not None]
    if len(weighted) < 2 or not weighted[0][1] or not weighted[-1][1]:
        return
    (first, arrives), (last, starts) = weighted[0], weighted[-1]
    ratio = arrives / starts
    evidence = (
        f"the norm of the loss's gradient is {starts:.2g} at the outputs of '{last}' and "
        f"{arrives:.2g} at those of '{first}', {len(weighted)} layers before"
    )
    if ratio < VANISHED:
        squashed = squashing(signals)
        cure = "start with larger weights (`init: [{weight: kaiming, bias: 0}]`)"
        if squashed:
            cure = f"use relu in place of the {squashed} sigmoids or tanhs"
        yield Finding(
            "vanishing_gradients",
            f"only {ratio:.0e} of the gradient reaches '{first}'",
            evidence,
            f"{cure}, or put batch_norm after each convolution, or shorten the way with residual",
            # Too small weights shrink what goes forth as what comes back; sigmoids are known for
            # this.
            follows=SILENT if squashed else (*SILENT, "vanishing_activations"),
        )
    elif ratio > EXPLODED:
        yield Finding(
            "exploding_gradients",
            f"the gradient grows {ratio:.0e} times until '{first}'",
            evidence,
            "start with smaller weights (`init: [{weight: kaiming, bias: 0}]`), or put batch_norm "
            "after each convolution; train.clip_norm keeps single steps short",
            follows=("exploding_activations", "vanishing_activations"),
        )


@dataclass(frozen=True)
class _Flow:
    """Norms of one layer's own parameters: weights, gradient, mean update of a step."""

    weights: float
    gradient: float
    update: float


@torch.no_grad()
def _flow(
    steady: nn.Module, net: nn.Module, batch: Batch, *, method: Method, seed: int
) -> dict[str, _Flow]:
    """Norms of weights, gradients and updates; `steady` is a copy of `net` with gradients."""
    moving, rate = steady_copy(net), method.recipe.lr
    train_briefly(moving, [batch], method=method, steps=STEPS, rate=lambda _: rate, seed=seed)
    return {
        name: _Flow(
            weights=_norm(before),
            gradient=_norm([p.grad for p in before if p.grad is not None]),
            update=_norm([p - q for p, q in zip(after, before, strict=True)]) / STEPS,
        )
        for (name, before), (_, after) in zip(owners(steady), owners(moving), strict=True)
    }


def _norm(tensors: Sequence[Tensor]) -> float:
    return float(torch.stack([t.float().norm() for t in tensors]).norm()) if tensors else 0.0


def _difference_table(by_tensor: Mapping[str, Sequence[Difference]]) -> Table:
    rows = tuple(
        (name, len(each), max(d.error for d in each), sum(d.is_wrong for d in each))
        for name, each in by_tensor.items()
    )
    title = f"derivatives against finite differences (wrong: above {WRONG:g} for every step size)"
    return Table(title, ("weights", "compared", "largest relative error", "wrong"), rows)


def _flow_table(signals: Sequence[Signal], flow: Mapping[str, _Flow]) -> Table:
    at_outputs = {signal.name: signal.gradient for signal in signals}
    rows = tuple(
        (
            name,
            at_outputs.get(name),
            each.weights,
            each.gradient,
            each.gradient / each.weights if each.gradient and each.weights else None,
            each.update / each.weights if each.weights else None,
        )
        for name, each in flow.items()
    )
    columns = ("layer", "gradient at outputs", "weight norm", "gradient norm",
               "gradient/weight", "update/weight")  # fmt: skip
    return Table("gradients at the initial weights, and the first steps' updates", columns, rows)


def _pictures(signals: Sequence[Signal], flow: Mapping[str, _Flow]) -> tuple[Plot, ...]:
    at_outputs = [(s.name, s.gradient or 0.0) for s in signals if s.has_weights]
    updates = [(name, f.update / f.weights) for name, f in flow.items() if f.weights]
    title = "the loss's gradient at each layer's outputs (first layer on the left)"
    return (
        Plot(title, bars_by_layer(at_outputs, label="norm")),
        Plot(
            "update of a step over the weights (around 0.001 is usual)",
            bars_by_layer(updates, label="ratio", usual=(1e-4, 1e-2)),
        ),
    )
