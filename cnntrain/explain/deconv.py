"""The deconvolutional network: an activation projected back to the pixels.

Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 2.1. The
backward pass of the network itself does it: three of its four steps are already those of the
paper: a convolution's is the transposed filters, max pooling's puts the signal where the maximum
was (the switches; where windows overlap, signals add up), batch normalisation's is its factor. Only
the rectifier differs, which rectifies the backward signal in place of gating it by the forward one;
and contrast normalisation, which the paper leaves out of this path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from cnntrain.core.kinds import Count, Numbers, Positive, Split
from cnntrain.explain import picture
from cnntrain.explain.patches import Answers, answers, cut, field_in_words, patches_of
from cnntrain.layers.divisive_norm import DivisiveNorm
from cnntrain.layers.lcn import LocalContrastNorm
from cnntrain.model.model import Model
from cnntrain.model.taps import Tap, tapped
from cnntrain.show.image_table import Cell, Picture, draw_table
from cnntrain.show.pixels import signed

CONTRAST = (nn.LocalResponseNorm, DivisiveNorm, LocalContrastNorm)


class _Passed(torch.autograd.Function):
    """The second value, and backward the signal as it is, to the first."""

    @staticmethod
    def forward(ctx: Any, read: Tensor, given: Tensor) -> Tensor:
        return given.clone()

    @staticmethod
    def backward(ctx: Any, signal: Tensor) -> tuple[Tensor, None]:
        return signal, None


def _pass(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    result: Tensor = _Passed.apply(args[0], output)
    return result


def _rectify(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
    result = _pass(module, args, output)
    result.register_hook(lambda signal: signal.clamp_min(0))  # type: ignore[no-untyped-call]
    return result


@contextmanager
def _deconvolving(net: nn.Module) -> Iterator[None]:
    handles = []
    for module in net.modules():
        if isinstance(module, (nn.ReLU, *CONTRAST)):
            hook = _rectify if isinstance(module, nn.ReLU) else _pass
            handles.append(module.register_forward_hook(hook))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def deconvolve(
    net: nn.Module,
    images: Tensor,
    *,
    layer: str,
    units: Sequence[int],
    rows: Sequence[int],
    columns: Sequence[int],
) -> Tensor:
    """Project one activation of each image back to the pixels, all others set to zero.

    Rectifiers are `relu`; other activations pass the signal on by their slope.

    Args:
        net: in evaluation mode.
        images: (N, C, H, W).
        layer: its dotted name.
        units: for each image the map, or the unit of a flat layer.
        rows: where in the map, as `columns`; not looked at for a flat layer.

    Returns:
        (N, C, H, W).
    """
    seen = images.detach().clone().requires_grad_()
    tap = Tap(layer)
    with torch.enable_grad(), _deconvolving(net), tapped(net, [tap]) as found:
        net(seen)
        values = found[tap]
        signal = torch.zeros_like(values)
        for number, place in enumerate(zip(units, rows, columns, strict=True)):
            where = (number, *place) if values.ndim == 4 else (number, place[0])
            signal[where] = values[where].detach()
        (projected,) = torch.autograd.grad(values, seen, signal)
    return projected


def _clipped(signals: Tensor) -> Tensor:
    """Without the strongest half percent of what is not zero, beside which the rest is grey."""
    tops = [
        float(torch.quantile(each[each != 0].abs(), 0.995)) if each.any() else 0.0
        for each in signals
    ]
    limits = torch.tensor(tops, device=signals.device).view(-1, 1, 1, 1)
    return signals.clamp(-limits, limits)


def draw_deconv(net: nn.Module, found: Answers) -> Figure:
    """A row per unit: its strongest activations projected back, then the patches themselves."""
    rows = []
    for unit in found.units:
        answers = found.peaks.answers(unit)
        projected = deconvolve(
            net,
            torch.cat([found.images[answer.image] for answer in answers]),
            layer=found.layer,
            units=[unit] * len(answers),
            rows=[answer.row for answer in answers],
            columns=[answer.column for answer in answers],
        )
        tiles = zip(signed(_clipped(projected)), answers, strict=True)
        left = [
            Cell(cut(tile, found.field, row=each.row, column=each.column)) for tile, each in tiles
        ]
        there = enumerate(patches_of(found, unit))
        rows.append([*left, *(Cell(patch, apart=not number) for number, (patch, _) in there)])
    count = found.peaks.values.shape[1]
    return draw_table(
        rows,
        title=f"{found.layer}: strongest answers among {found.peaks.seen:,} images, projected to "
        f"the pixels\n(Zeiler and Fergus 2014; grey is zero); {field_in_words(found)}",
        headings=["projected back", *[""] * (count - 1), "the images there"],
        labels=[f"unit {unit}" for unit in found.units],
        side=0.75,
    )


@picture("deconv")
def deconv(
    *,
    model: Model,
    layer: str | None = None,
    units: Numbers = (),
    count: Count = 8,
    split: Split | None = None,
    limit: Positive = 2000,
) -> Picture:
    """Strongest answers projected to the pixels (Zeiler-Fergus).

    Args:
        units: a map of the layer, counted from 0. Repeatable.
        count: units where none is named.
    """
    found = answers(model, layer, units=units, count=count, split=split, limit=limit)
    return Picture(draw_deconv(model.net, found), found.facts)
