"""Check `arithmetic`: do the numbers of the recipe suit each other?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import fmean

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cnntrain.core.remark import Remark
from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.optimizer_sense import wrong_optimizer
from cnntrain.diagnose.report import Finding, Report
from cnntrain.show.words import counted
from cnntrain.train.briefly import Method, steady_copy
from cnntrain.train.learner import Learner
from cnntrain.train.step import forward_backward

ASKED = 2
"""Batches whose gradient is measured."""

WAY, SHORT_WAY = 0.3, 0.1
"""How far all clipped steps lead, if all go the same way, in norms of the initial weights: less is
a suspicion, or a fault."""

RARELY = 3.0
"""Times the usual norm of the gradient, for clipping to catch only what is unusual. Pascanu,
Mikolov and Bengio 2013, section 3.2, propose half to ten times."""

GONE, SOON_GONE, KEPT = 30.0, 100.0, 3000.0
"""Steps in which an L1 penalty alone takes a mean weight to 0: fewer are a fault, a suspicion; the
one that is proposed takes so many."""


@check("arithmetic", place=0.1)
def check_arithmetic(
    *,
    net: nn.Module,
    batches: Sequence[Batch],
    method: Method,
    bare: Method,
    reckoned: Sequence[Remark] = (),
    shares: Sequence[float] = (),
    optimizer_name: str = "",
) -> Report:
    """Compare the numbers of the recipe with each other, with the images, and with one gradient.

    Nothing is trained. What needs no image `cnntrain check` notes, too.

    Args:
        net: with its initial weights; it is not changed.
        batches: of training images; the gradient of the first is measured.
        method: how the run trains.
        bare: the same without what holds the weights back.
        reckoned: what the run file and the number of images show.
        shares: the share of the full rate that each step of the run has; none if not known.
        optimizer_name: as the run file calls it.
    """
    findings = [Finding(**vars(remark)) for remark in reckoned]
    findings += wrong_optimizer(net, method, name=optimizer_name)
    weights = [p.detach().abs() for p in net.parameters() if p.ndim > 1]
    parameters = sum(each.numel() for each in net.parameters())
    numbers: dict[str, float] = {"steps": len(shares), "parameters": parameters}
    moving = steady_copy(net)
    optimizer = bare.make_optimizer(moving)
    if weights and isinstance(optimizer, torch.optim.SGD):  # others divide by the gradient's size
        held, momentum = method.recipe, optimizer.defaults["momentum"]
        way = held.lr / max(1e-9, 1 - momentum) * sum(shares)
        norm = _gradient_norm(moving, optimizer, batches[:ASKED], bare)
        numbers |= {"gradient_norm": norm}
        if held.clip_norm is not None and held.clip_norm < norm:
            length = math.hypot(*(float(each.norm()) for each in weights))
            findings += _clipped(held.clip_norm, norm, way, length)
        if held.l1:
            findings += _pulled(held.l1, way / max(1, len(shares)), weights)
    return Report(
        "arithmetic",
        findings[0].headline if findings else "the numbers of the recipe suit each other",
        tuple(findings),
        numbers=numbers,
    )


def _gradient_norm(
    moving: nn.Module, optimizer: Optimizer, batches: Sequence[Batch], bare: Method
) -> float:
    """The mean over some batches, at the initial weights."""
    learner = Learner(moving, optimizer, precision=bare.precision)
    norms = []
    for batch in batches:
        forward_backward(learner, batch, criterion=bare.criterion, recipe=bare.recipe)
        gradients = [p.grad for p in moving.parameters() if p.grad is not None]
        norms.append(math.hypot(*(float(each.norm()) for each in gradients)))
    return fmean(norms)


def _clipped(clip: float, norm: float, way: float, length: float) -> Iterator[Finding]:
    """`way` is what all steps together are, at a gradient of 1; `length` that of all weights."""
    share = way * clip / length
    if share >= WAY or not math.isfinite(norm):
        return
    better = f"{RARELY * norm:.2g}"
    yield Finding(
        "clipped_to_nothing",
        f"clipped to {clip:g} all steps together change the weights by {share:.1%} at most",
        f"the gradient has a norm of {norm:.2g} at the start; weights of norm {length:.2g} are "
        f"moved by the sum of the rates, momentum included, {way:.3g}, times {clip:g}",
        f"set train.clip_norm to about {better}",
        is_certain=share < SHORT_WAY,
        overrides=(f"train.clip_norm={better}",),
    )


def _pulled(l1: float, step: float, weights: Sequence[Tensor]) -> Iterator[Finding]:
    """The penalty's derivative is its factor, whatever the weight: each step takes as much off."""
    mean = float(torch.cat([each.flatten() for each in weights]).mean())
    steps = mean / max(1e-30, step * l1)
    if steps >= SOON_GONE:
        return
    better = f"{mean / (step * KEPT):.0e}"
    yield Finding(
        "too_much_l1",
        f"the L1 penalty alone takes a mean weight to 0 in {counted(max(1, round(steps)), 'step')}",
        f"it takes {step * l1:.2g} off in each step, and the weights are {mean:.2g} on the mean",
        f"set train.l1 to about {float(better):g}, or remove it",
        is_certain=steps < GONE,
        overrides=(f"train.l1={float(better):g}",),
    )
