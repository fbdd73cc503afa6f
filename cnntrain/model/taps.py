"""What inner layers give: read by hooks while the network runs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Split
from cnntrain.data.batch import Loader
from cnntrain.data.left_out import LeftOut
from cnntrain.model.find_layers import find_layer
from cnntrain.train.finite import all_finite, why_not_finite

if TYPE_CHECKING:
    from cnntrain.model.model import Model


@dataclass(frozen=True)
class Tap:
    """A place in a network: the output of a layer, or what it reads.

    Args:
        layer: its dotted name.
        reads: its input in place of its output.
    """

    layer: str
    reads: bool = False

    def __str__(self) -> str:
        return f"input of '{self.layer}'" if self.reads else self.layer


@contextmanager
def tapped(net: nn.Module, taps: Sequence[Tap]) -> Iterator[dict[Tap, Tensor]]:
    """What the taps give in the last pass of the network inside the block."""
    found: dict[Tap, Tensor] = {}
    handles = []
    for tap in taps:
        module = net.get_submodule(tap.layer)
        if tap.reads:
            handles.append(module.register_forward_pre_hook(partial(_keep_input, found, tap)))
        else:
            handles.append(module.register_forward_hook(partial(_keep_output, found, tap)))
    try:
        yield found
    finally:
        for handle in handles:
            handle.remove()


def _keep_input(found: dict[Tap, Tensor], tap: Tap, _: nn.Module, args: tuple[Any, ...]) -> None:
    found[tap] = args[0]


def _keep_output(
    found: dict[Tap, Tensor], tap: Tap, _: nn.Module, args: tuple[Any, ...], output: Tensor
) -> None:
    del args
    found[tap] = output


def bounded(values: Tensor, limit: int) -> Tensor:
    """Values of one layer as features `(N, F)`; maps are averaged over a grid of regions.

    Args:
        values: (N, C, H, W) or (N, F).
        limit: the grid is the finest square one that leaves at most so many features, and at least
            one region; values that are flat already are left as they are.
    """
    flat = values.flatten(1)
    if values.ndim != 4 or flat.shape[1] <= limit:
        return flat
    side = max(1, math.isqrt(limit // values.shape[1]))
    rows, columns = (min(side, size) for size in values.shape[2:])
    pooled: Tensor = functional.adaptive_avg_pool2d(values, (rows, columns))
    return pooled.flatten(1)


def features(
    net: nn.Module, loader: Loader, *, taps: Sequence[Tap], limit: int
) -> tuple[dict[Tap, Tensor], Tensor]:
    """The features of every image at each tap, and the classes.

    Args:
        net: in evaluation mode.
        loader: in stored order.
        limit: see `bounded`.

    Returns:
        for each tap (N, F) float32 on the CPU, and the targets (N,).

    Raises:
        DivergedError: what a tap or the network gives is not finite; it names the first layer.
        DataError: images hold values that are not finite.
    """
    parts: dict[Tap, list[Tensor]] = {tap: [] for tap in taps}
    targets: list[Tensor] = []
    with torch.no_grad(), tapped(net, taps) as given:
        for batch in loader.batches(0):
            outputs = net(batch.images)
            if not all_finite([outputs, *given.values()]):
                first = sum(map(len, targets))
                raise why_not_finite(net, batch, first=first)
            for tap, rows in parts.items():
                rows.append(bounded(given[tap].float(), limit).cpu())
            targets.append(batch.targets.cpu())
    found = {tap: torch.cat(each) for tap, each in parts.items()}
    return found, torch.cat(targets)


def feature_tap(model: Model, layer: str | None) -> Tap:
    """The output of a layer; without a name what the last linear layer reads, or learnt vectors."""
    if layer is not None:
        find_layer(model, layer)
        return Tap(layer)
    if model.named.form == "distances":
        return Tap(model.plan.body.nodes[-1].name)
    linear = [name for name in model.layers if isinstance(model.net.get_submodule(name), nn.Linear)]
    if linear:
        return Tap(linear[-1], reads=True)
    return Tap(model.plan.body.nodes[-1].name)


@dataclass(frozen=True)
class Features:
    """The features of a split.

    Args:
        layer: where they were read.
        split: of the data.
        values: (N, F) float32.
        targets: (N,) int64 classes, or (N, K) what else is learnt.
        files: what each image is called.
        classes: the names of the classes, or of what else is learnt.
        labels: what each image is, or has, in words.
        left_out: files of the split that are not used.
    """

    layer: str
    split: Split
    values: Tensor
    targets: Tensor
    files: tuple[str, ...]
    classes: tuple[str, ...]
    labels: Sequence[str]
    left_out: tuple[LeftOut, ...] = ()
