"""Whether an optimizer of a plugin's moves weights as one does, without a loss: by gradients that
are known.

Without a gradient weights stay where they are, or shrink, as decay makes them. With the same
gradient in each step they move in each step, downhill, and no step takes back what others did.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cnntrain.diagnose.modules import is_of_others
from cnntrain.diagnose.report import Finding
from cnntrain.optim import set_learning_rate
from cnntrain.show.words import counted
from cnntrain.train.briefly import Method, steady_copy

IDLE, STEPS = 10, 60
"""Steps without a gradient, and with the same one in each."""

STAYS = 0.01
"""How far, in their own norm, weights may move without a gradient, other than towards 0."""

RARELY, NEVER = 0.5, 0.1
"""Share of the steps that move the weights, below which it is a suspicion, and a fault."""

LOST = 0.2
"""Share of the way of all steps by which weights must be further at the end."""

USUAL = ("train.optimizer={name: adam, lr: 0.001}",)


def wrong_optimizer(
    net: nn.Module, method: Method, *, name: str, seed: int = 0
) -> Iterator[Finding]:
    """Ask an optimizer that is neither torch's nor cnntrain's.

    Args:
        net: it is not changed.
        method: how the run trains.
        name: of the optimizer, in the run file.
        seed: of the gradient.
    """
    if not is_of_others(method.make_optimizer(net)):
        return
    moving = steady_copy(net)
    weights = [each for each in moving.parameters() if each.requires_grad]
    if not weights:
        return
    rate = method.recipe.lr
    zeros = [torch.zeros_like(each) for each in weights]
    generator = torch.Generator().manual_seed(seed)
    slope = [torch.randn(each.shape, generator=generator).to(each) for each in weights]
    size = _flat(slope).norm()
    slope = [each / size for each in slope]
    try:
        idle = _way(method.make_optimizer(moving), weights, zeros, rate, IDLE)
        steady = _way(method.make_optimizer(moving), weights, slope, rate, STEPS)
    except (RuntimeError, TypeError):  # it wants a closure
        return
    finding = _of_idle(idle, name) or _of_steady(steady, _flat(slope), name)
    if finding is not None:
        yield finding


def _way(
    optimizer: Optimizer,
    weights: Sequence[Tensor],
    slope: Sequence[Tensor],
    rate: float,
    steps: int,
) -> Tensor:
    """The weights before the first step and after each, `(steps + 1, weights)`."""
    set_learning_rate(optimizer, rate)
    places = [_flat(weights)]
    for _ in range(steps):
        for each, gradient in zip(weights, slope, strict=True):
            each.grad = gradient.clone()
        optimizer.step()
        places.append(_flat(weights))
    return torch.stack(places)


def _flat(tensors: Sequence[Tensor]) -> Tensor:
    return torch.cat([each.detach().flatten() for each in tensors])


def _of_idle(way: Tensor, name: str) -> Finding | None:
    """What moves without a gradient, and not towards 0."""
    first, last = way[0], way[-1]
    length = float(first.norm())
    along = float(last @ first) / max(length**2, 1e-30)
    aside = float((last - along * first).norm()) / max(length, 1e-30)
    if along <= 1 + STAYS and aside <= STAYS:
        return None
    moved = "grow" if aside <= STAYS else "move"
    return _finding(
        f"'{name}' lets weights {moved} that have no gradient",
        f"in {counted(len(way) - 1, 'step')} with a gradient of 0 they are {along:.3g} times what "
        f"they were, and moved aside by {aside:.1%}",
        "look at the sign of its weight decay, and at what it adds to the gradient",
    )


def _of_steady(way: Tensor, slope: Tensor, name: str) -> Finding | None:
    """What does not walk downhill on a slope that is the same everywhere."""
    steps = (way[1:] - way[:-1]).norm(dim=1)
    walked, whole = float(steps.sum()), way[-1] - way[0]
    share = float((steps > 1e-3 * steps.max()).float().mean())
    evidence = f"in {counted(len(steps), 'step')} with the same gradient "
    if share < RARELY:
        return _finding(
            f"'{name}' moves the weights in {share:.0%} of the steps",
            evidence + f"they moved in {round(share * len(steps))}",
            "does it make a step for each batch, and is what a step adds rounded away or cut off?",
            is_certain=share < NEVER,
        )
    if float(whole @ slope) >= 0:
        return _finding(
            f"'{name}' goes uphill",
            evidence + "the weights moved along it, and not against it",
            "look at the sign of its step",
        )
    if float(whole.norm()) < LOST * walked:
        return _finding(
            f"'{name}' takes back its own steps",
            evidence + f"the weights are {float(whole.norm()) / walked:.0%} of the way walked from "
            "where they began",
            "is something set back that should be kept?",
        )
    return None


def _finding(headline: str, evidence: str, look: str, *, is_certain: bool = True) -> Finding:
    remedy = f"{look}{'' if look.endswith('?') else '.'} Or take a usual one"
    return Finding(
        "wrong_optimizer", headline, evidence, remedy, is_certain=is_certain, overrides=USUAL
    )
