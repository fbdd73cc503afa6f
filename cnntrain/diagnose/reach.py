"""Whether a network's outputs can take the values that are to be learnt."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from cnntrain.diagnose.report import Finding
from cnntrain.diagnose.signals import leaves
from cnntrain.tasks.criterion import Criterion

FAR = 1e3
SCALES = (-FAR, -1.0, 0.0, 1.0, FAR)
"""Times what a layer reads, for its outputs to come to the ends of their range."""

MISSED, MUCH = 0.05, 0.2
"""Share of the loss of guessing that is left where outputs are as near as they can be to what is to
be learnt: for a suspicion, and for a fault."""

HALVINGS = 50


def out_of_reach(
    net: nn.Module, images: Tensor, targets: Tensor, *, criterion: Criterion, chance: float
) -> Iterator[Finding]:
    """A last layer with a range, as a sigmoid's 0 to 1, for values that lie outside of it.

    Args:
        net: in the modes in which it is to be looked at; it is not changed.
        images: `(N, C, H, W)`.
        targets: of them.
        criterion: the loss, which treats each output by itself, as squared errors do.
        chance: the loss of guessing.
    """
    found = _last_range(net, images)
    if found is None or not 0 < chance < math.inf:
        return
    name, kind, outputs, (low, high) = found
    wanted = _wanted(criterion, outputs, targets)
    if float(criterion(wanted, targets)) > 0.01 * chance:
        return  # this loss does not say what it wants of each output
    left = float(criterion(wanted.clamp(low, high), targets)) / chance
    if left < MISSED:
        return
    outside = float(((wanted < low - 1e-3) | (wanted > high + 1e-3)).float().mean())
    ends = f"between {low:.2g} and {high:.2g}"
    if math.isinf(high):
        ends = f"at least {low:.2g}"
    yield Finding(
        "out_of_reach",
        f"the network ends in '{name}' ({kind}), whose outputs are {ends}: {outside:.0%} of what "
        "is to be learnt lies outside",
        f"it lies between {float(wanted.min()):.3g} and {float(wanted.max()):.3g} as the network "
        f"has to give it; the best such outputs leave {left:.0%} of the loss of guessing",
        "end the network with the layer before it, which gives any number",
        is_certain=left >= MUCH,
    )


@torch.no_grad()
def _last_range(
    net: nn.Module, images: Tensor
) -> tuple[str, str, Tensor, tuple[float, float]] | None:
    """The layer whose outputs are those of the network, and their ends, if there is one of them."""
    called: list[tuple[str, nn.Module, tuple[Tensor, ...], Tensor]] = []
    hooks = [
        module.register_forward_hook(
            lambda module, reads, output, name=name: called.append((name, module, reads, output))
        )
        for name, module in leaves(net).items()
        if not list(module.parameters())
    ]
    given = net(images)
    for hook in hooks:
        hook.remove()
    outputs = given[0] if isinstance(given, tuple) else given
    for name, module, reads, output in reversed(called):
        is_last = isinstance(output, Tensor) and output.numel() == outputs.numel()
        is_last &= len(reads) == 1  # what joins several ends none of them
        if not is_last or not torch.equal(output.flatten(1), outputs.flatten(1)):
            continue
        every = torch.cat([module(times * reads[0]).flatten() for times in SCALES])
        low, high = float(every.min()), float(every.max())
        widest = FAR * float(reads[0].abs().max())  # of what gives its input
        ends = (
            low if low > -0.1 * widest else -math.inf,
            high if high < 0.1 * widest else math.inf,
        )
        if ends != (-math.inf, math.inf):
            return name, type(module).__name__, outputs.float(), ends
    return None


def _wanted(criterion: Criterion, outputs: Tensor, targets: Tensor) -> Tensor:
    """What a loss wants each output to be: where its derivative changes sign, by halving."""
    far = 10.0 * (1.0 + max(float(outputs.abs().max()), float(targets.abs().max())))
    low, high = torch.full_like(outputs, -far), torch.full_like(outputs, far)
    for _ in range(HALVINGS):
        with torch.enable_grad():
            middle = (0.5 * (low + high)).requires_grad_()
            (slope,) = torch.autograd.grad(criterion(middle, targets), middle)
        is_above = slope > 0
        middle = middle.detach()
        low, high = low.where(is_above, middle), middle.where(is_above, high)
    return 0.5 * (low + high)
