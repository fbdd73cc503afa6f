"""Check `units`: do the units of each layer say something, and each something of its own?

Good features are sparse across images and across units, and uncorrelated; bad ones ignore the input
or repeat each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass
from functools import partial

import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose import check
from cnntrain.diagnose.drawing import bars_by_layer
from cnntrain.diagnose.report import Finding, Plot, Report, Table, not_applicable
from cnntrain.diagnose.signals import RANGES, leaves, saturation
from cnntrain.show.words import listed
from cnntrain.train.evaluation import evaluation_mode

WITH_UNITS = (
    *(nn.Conv2d, nn.ConvTranspose2d, nn.Linear),
    *(nn.ReLU, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.Softplus, *RANGES),
)

DEAD = 0.5
"""Share of a rectifier layer's units that are 0 for every image, from which on it is a fault."""

FULL = 0.8
"""Share of the outputs at the ends of the range."""

SAME = 0.99
"""Correlation of two units that say the same."""

ALIKE = 0.5
"""Share of a layer's units that repeat another one."""

STILL = 1e-6
"""Deviation of a unit that says nothing, of that of its layer."""

MOST_UNITS = 512
"""Of a layer; of more, the first."""

PLACES = 16
"""Of a map at which units are compared, at even distances."""


@dataclass(frozen=True)
class Units:
    """The units of one layer over some images.

    Args:
        layer: its name.
        kind: its class.
        count: units: maps, or features.
        dead: share of them that are 0 for every image; None where the layer is no rectifier.
        still: share that give the same for every image.
        saturated: share of the outputs at the ends of the range; None without ends.
        correlation: mean of |r| over all pairs of units, over images and places.
        alike: share of the units that repeat an earlier one.
        image_sparsity: Treves and Rolls (1991) over the images, mean of the units: 0 dense, 1 one
            image only.
        unit_sparsity: the same over the units, mean of the images.
    """

    layer: str
    kind: str
    count: int
    dead: float | None
    still: float
    saturated: float | None
    correlation: float
    alike: float
    image_sparsity: float
    unit_sparsity: float


@check("units", place=10)
def check_units(*, trained: nn.Module, batch: Batch, is_trained: bool) -> Report:
    """Look at each layer's outputs over some images, in evaluation mode.

    Args:
        trained: the network; it is not changed.
        batch: images, some hundred.
        is_trained: whether the weights were learnt; initial ones the check `initial` judges.
    """
    found, images = units_of(trained, [batch]), len(batch.targets)
    if not found:
        return not_applicable("units", "there is no layer whose units are known")
    findings = (*_dead(found), *_saturated(found), *_alike(found)) if is_trained else ()
    worst = max(found, key=lambda each: each.still)
    headline = f"every unit distinguishes some of {images} images"
    if worst.still:
        headline = f"{worst.still:.0%} of the units of '{worst.layer}' are the same for all "
        headline += f"{images} images; no layer has a larger share"
    if not is_trained:
        headline = f"not judged because the weights are initial ones: {headline}"
    return Report(
        "units",
        findings[0].headline if findings else headline,
        findings,
        numbers={"images": images, "most_still": worst.still},
        tables=(_table(found),),
        pictures=(
            _shares("units that say the same for all images", "share", found, "still"),
            _shares("mean |correlation| of two units", "|r|", found, "correlation"),
        ),
        applies=is_trained,
    )


def _shares(title: str, label: str, found: Sequence[Units], what: str) -> Plot:
    bars = [(each.layer, float(getattr(each, what))) for each in found]
    return Plot(title, bars_by_layer(bars, label=label, is_log=False, top=1.0))


def units_of(net: nn.Module, batches: Sequence[Batch]) -> list[Units]:
    """The units of every layer, in the order of the calls."""
    seen: dict[str, list[_Part]] = {}
    layers = {name: each for name, each in leaves(net).items() if isinstance(each, WITH_UNITS)}
    with evaluation_mode(net), ExitStack() as hooks, torch.inference_mode():
        for name, module in layers.items():
            hooks.callback(module.register_forward_hook(partial(_look, seen, name)).remove)
        for batch in batches:
            net(batch.images)
    return [_units(name, layers[name], parts) for name, parts in seen.items()]


@dataclass(frozen=True)
class _Part:
    """Of one call: units at some places `(N x places, units)`, mean size, extremes, saturation."""

    values: Tensor
    rates: Tensor
    low: Tensor
    high: Tensor
    saturated: float | None


def _look(
    seen: dict[str, list[_Part]], name: str, module: nn.Module, _inputs: object, output: object
) -> None:
    if not isinstance(output, Tensor) or output.dim() < 2:
        return
    maps = output.float()[:, :MOST_UNITS]
    maps = maps.flatten(2) if maps.dim() > 2 else maps[..., None]
    places = torch.linspace(0, maps.shape[2] - 1, min(PLACES, maps.shape[2])).long()
    part = _Part(
        values=maps[:, :, places.to(maps.device)].transpose(1, 2).flatten(0, 1),
        rates=maps.abs().mean(dim=2),
        low=maps.amin(dim=(0, 2)),
        high=maps.amax(dim=(0, 2)),
        saturated=saturation(module, maps),
    )
    seen.setdefault(name, []).append(part)


def _units(name: str, module: nn.Module, parts: Sequence[_Part]) -> Units:
    values = torch.cat([part.values for part in parts]).double()
    rates = torch.cat([part.rates for part in parts]).double()
    low = torch.stack([part.low for part in parts]).amin(dim=0)
    high = torch.stack([part.high for part in parts]).amax(dim=0)
    zero, span = (low == 0) & (high == 0), high - low
    still = span <= STILL * span.max().clamp_min(1e-12)
    saturated = [part.saturated for part in parts if part.saturated is not None]
    correlation, alike = _correlations(values[:, ~still])
    return Units(
        layer=name,
        kind=type(module).__name__,
        count=len(zero),
        dead=float(zero.float().mean()) if isinstance(module, nn.ReLU) else None,
        still=float(still.float().mean()),
        saturated=sum(saturated) / len(parts) if saturated else None,
        correlation=correlation,
        alike=alike,
        image_sparsity=_sparsity(rates[:, ~still], dim=0),
        unit_sparsity=_sparsity(rates, dim=1),
    )


def _correlations(values: Tensor) -> tuple[float, float]:
    """Mean |r| over the pairs of units, and the share of units that repeat an earlier one."""
    if values.numel():
        values = values[:, values.std(dim=0, correction=0) > 0]
    if values.shape[1] < 2 or len(values) < 3:
        return 0.0, 0.0
    r = torch.corrcoef(values.T).abs()
    pairs = torch.triu(torch.ones_like(r), diagonal=1).bool()
    repeated = ((r > SAME) & pairs).any(dim=0)
    return float(r[pairs].mean()), float(repeated.float().mean())


def _sparsity(rates: Tensor, *, dim: int) -> float:
    """Treves and Rolls' measure `(1 - mean(r)^2 / mean(r^2)) / (1 - 1 / n)`, averaged."""
    n = rates.shape[dim]
    if n < 2 or rates.numel() == 0:
        return 0.0
    ratio = rates.mean(dim=dim).square() / rates.square().mean(dim=dim).clamp_min(1e-30)
    return float(((1 - ratio) / (1 - 1 / n)).mean())


def _table(found: Sequence[Units]) -> Table:
    columns = ("layer", "kind", "units", "dead", "the same for all images", "saturated",
               "mean |correlation|", "alike", "sparsity over images", "over units")  # fmt: skip
    title = f"the units of each layer; of one with more than {MOST_UNITS}, the first {MOST_UNITS}"
    return Table(title, columns, tuple(map(astuple, found)))


def _dead(found: Sequence[Units]) -> Iterator[Finding]:
    dead = [each for each in found if each.dead is not None and each.dead >= DEAD]
    if dead:
        worst = max(dead, key=lambda each: each.dead or 0.0)
        yield Finding(
            "dead_units",
            f"{worst.dead:.0%} of the {worst.count} units of '{worst.layer}' are 0 for every image",
            f"{DEAD:.0%} or more of the units are dead in {listed([e.layer for e in dead])}",
            "a smaller learning rate, leaky_relu or batch_norm keeps them alive; dead units "
            "do not recover: retrain",
            follows=("not_normalised", "rate_too_high"),
        )


def _saturated(found: Sequence[Units]) -> Iterator[Finding]:
    full = [each for each in found if each.saturated is not None and each.saturated >= FULL]
    if full:
        worst = max(full, key=lambda each: each.saturated or 0.0)
        yield Finding(
            "saturated_units",
            f"{worst.saturated:.0%} of the outputs of '{worst.layer}' are at the ends of its range",
            f"the same holds for {FULL:.0%} or more in {listed([each.layer for each in full])}",
            "a smaller learning rate, weight decay or batch_norm before it",
            is_certain=False,
            follows=("not_normalised", "rate_too_high"),
        )


def _alike(found: Sequence[Units]) -> Iterator[Finding]:
    """The last layer answers by class, so its units may go together."""
    alike = [each for each in found[:-1] if each.count >= 4 and each.alike >= ALIKE]
    if alike:
        worst = max(alike, key=lambda each: each.alike)
        yield Finding(
            "alike_units",
            f"{worst.alike:.0%} of the {worst.count} units of '{worst.layer}' repeat another one",
            f"their correlation over the images is above {SAME}; so it is in "
            f"{listed([each.layer for each in alike])}",
            "fewer units there, dropout, or another initialisation",
            is_certain=False,
        )
