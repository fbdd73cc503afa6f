"""What flows through a network: outputs on the way there, gradients on the way back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.layers.scaled_tanh import ScaledTanh
from cnntrain.tasks.criterion import Criterion

RANGES: dict[type[nn.Module], tuple[float, float]] = {
    nn.Sigmoid: (0.0, 1.0),
    nn.Tanh: (-1.0, 1.0),
    nn.Hardtanh: (-1.0, 1.0),
    nn.Hardsigmoid: (0.0, 1.0),
    ScaledTanh: (-1.7159, 1.7159),
}
"""The ends of the activations that have ends."""

FLAT = 0.5
"""Share of a layer's outputs at the ends of its range, from which on it flattens."""

SATURATED = 0.02
"""Share of the range, at each end, in which the slope is at most 8 % of the steepest."""


@dataclass
class Signal:
    """One layer without layers inside, over one batch.

    Args:
        name: dotted, as in the network.
        kind: its class.
        has_weights: whether it has parameters.
        deviation: root mean square of its outputs about their mean over all.
        varies: mean over its outputs of their deviation from image to image.
        read_varies: the same of what it reads.
        keeps_shape: whether it gives as many values as it reads.
        mixes: whether it has a matrix or kernels, and not factors alone.
        zero_units: share of its units (maps, or features) that are 0 for every image; rectifiers'.
        saturated: share of its outputs at the ends of their range; None for those without ends.
        gradient: norm of the loss's gradient by its outputs, summed over the images; None where
            no gradient came.
    """

    name: str
    kind: str
    has_weights: bool
    deviation: float
    varies: float
    read_varies: float
    keeps_shape: bool
    mixes: bool
    zero_units: float | None
    saturated: float | None
    gradient: float | None = None


def leaves(net: nn.Module) -> dict[str, nn.Module]:
    """The modules without modules inside, by name."""
    return {name: module for name, module in net.named_modules() if not list(module.children())}


def layer_signals(
    net: nn.Module, batch: Batch, *, criterion: Criterion
) -> tuple[tuple[Signal, ...], float]:
    """Pass a batch through and its loss back. Gradients are left in the parameters.

    A layer that is called several times is seen at its last call.

    Args:
        net: in the modes in which it is to be looked at.
        batch: images and classes.
        criterion: the loss.

    Returns:
        One signal for each layer, in the order of the calls, and the loss.
    """
    seen: dict[str, Signal] = {}
    net.zero_grad(set_to_none=True)
    with ExitStack() as hooks, torch.enable_grad():
        for name, module in leaves(net).items():
            hooks.callback(module.register_forward_hook(partial(_look, seen, name)).remove)
        output = net(batch.images)
        logits = output[0] if isinstance(output, tuple) else output
        loss = criterion(logits.float(), batch.targets)
        if loss.requires_grad:
            loss.backward()  # type: ignore[no-untyped-call]  # torch's gap
    return tuple(seen.values()), float(loss.detach())


def squashing(signals: Sequence[Signal]) -> int:
    """How many layers flatten what comes in: sigmoids, with a slope of 1/4 at the most, and tanhs
    at the ends of their range; in its middle a tanh has a slope of 1."""
    return sum(
        signal.saturated is not None and ("Sigmoid" in signal.kind or signal.saturated > FLAT)
        for signal in signals
    )


def variation(values: Tensor) -> float:
    """Mean over the values of their deviation from image to image; constants do not count."""
    return float(values.flatten(1).std(dim=0, correction=0).mean())


def saturation(module: nn.Module, values: Tensor) -> float | None:
    """Share of an activation's outputs at the ends of its range; None where it has no ends."""
    if type(module) not in RANGES:
        return None
    low, high = RANGES[type(module)]
    margin = SATURATED * (high - low)
    return float(((values < low + margin) | (values > high - margin)).float().mean())


def _look(
    seen: dict[str, Signal],
    name: str,
    module: nn.Module,
    inputs: tuple[object, ...],
    output: object,
) -> None:
    if not isinstance(output, Tensor) or not output.is_floating_point():
        return
    values = output.detach().float()
    read = inputs[0] if inputs and isinstance(inputs[0], Tensor) else values
    zero = None
    if isinstance(module, nn.ReLU) and values.dim() > 1:
        units = values.transpose(0, 1).flatten(1)
        zero = int((units == 0).all(dim=1).sum()) / len(units)
    seen.pop(name, None)
    seen[name] = signal = Signal(
        name,
        type(module).__name__,
        any(True for _ in module.parameters()),
        deviation=float(values.std(correction=0)),
        varies=variation(values),
        read_varies=variation(read.detach().float()),
        keeps_shape=read.shape == values.shape,
        mixes=any(parameter.ndim > 1 for parameter in module.parameters()),
        zero_units=zero,
        saturated=saturation(module, values),
    )

    def look_back(gradient: Tensor) -> None:
        signal.gradient = float(gradient.float().norm())

    if output.requires_grad:
        output.register_hook(look_back)  # type: ignore[no-untyped-call]  # torch's gap
