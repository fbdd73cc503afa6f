"""Gabor functions fitted to the filters of the first layer."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_high
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.optimize import least_squares
from torch import Tensor

from cnntrain.core.errors import UsageError
from cnntrain.explain import picture
from cnntrain.explain.filters import kernels
from cnntrain.model.find_layers import all_kernels
from cnntrain.model.model import Model
from cnntrain.show.image_table import Cell, Picture, columns_for, draw_table, in_rows
from cnntrain.show.pixels import magnified, mosaic, signed
from cnntrain.show.words import listed

Array = NDArray[np.float64]

MOST = 48
"""Filters that are shown."""


@dataclass(frozen=True)
class Gabor:
    """A Gabor function on a small image: a wave in a Gaussian window (Daugman 1985).

    With `u, v` the pixel's place from the centre, turned by the orientation,
    `amplitude exp(-(u / width)**2 / 2 - (v / length)**2 / 2) cos(2 pi frequency u + phase)`.

    Args:
        amplitude: largest value of the window.
        x: centre, in pixels from the left pixel's middle.
        y: centre, in pixels from the top pixel's middle.
        orientation: of the wave's direction, radians from 0 to pi; 0: it runs along x.
        frequency: cycles a pixel.
        phase: radians; 0 even, pi / 2 odd.
        width: standard deviation of the window along the wave, in pixels.
        length: across it.
        explained: share of the filter's variance (around zero) that the function explains.
    """

    amplitude: float
    x: float
    y: float
    orientation: float
    frequency: float
    phase: float
    width: float
    length: float
    explained: float

    def values(self, height: int, width: int) -> Array:
        """(height, width): the function on the pixels."""
        return _gabor(
            np.array([self.x, self.y, self.orientation, self.frequency, self.width, self.length]),
            *_grid(height, width),
        ) @ (self.amplitude * np.array([math.cos(self.phase), -math.sin(self.phase)]))


def grey_filters(weight: Tensor) -> Tensor:
    """Each filter's main pattern (out, height, width), whatever its colours.

    The first singular vector of (in, height width): the one pattern with one weight per input that
    explains most of the filter. Its sign is that of the sum of those weights.
    """
    out, _, height, width = weight.shape
    u, s, v = torch.linalg.svd(weight.detach().double().cpu().flatten(2), full_matrices=False)
    sign = u[:, :, 0].sum(dim=1).sign()
    sign[sign == 0] = 1
    patterns: Tensor = v[:, 0] * (s[:, 0] * sign)[:, None]
    return patterns.view(out, height, width)


def fit_gabor(pattern: Array) -> Gabor:
    """The Gabor function with the least squared difference from a filter.

    Amplitude and phase enter linearly (as weights of a cosine and a sine) and are solved for inside
    the search over the other six. It makes a few steps from each of the strongest places of the
    spectrum, and continues from the best of them.

    Args:
        pattern: (height, width), at least 5 x 5.
    """
    height, width = pattern.shape
    grid = _grid(height, width)
    flat = pattern.reshape(-1)
    total = float(flat @ flat)

    def rest(shape: Array) -> Array:
        basis = _gabor(shape, *grid).reshape(-1, 2)
        return basis @ np.linalg.lstsq(basis, flat, rcond=None)[0] - flat

    lower = np.array([-0.5, -0.5, -math.pi, 0.0, 0.4, 0.4])
    side = max(height, width)
    upper = np.array([width - 0.5, height - 0.5, 2 * math.pi, 0.5, 2.0 * side, 2.0 * side])

    def search(start: Array, steps: int) -> Any:
        inside = start.clip(lower + 1e-3, upper - 1e-3)
        return least_squares(rest, inside, bounds=(lower, upper), max_nfev=steps)

    nearest = min((search(start, 12) for start in _starts(pattern)), key=lambda found: found.cost)
    best = search(nearest.x, 60)
    basis = _gabor(best.x, *grid).reshape(-1, 2)
    even, odd = np.linalg.lstsq(basis, flat, rcond=None)[0].tolist()
    x, y, orientation, frequency, wide, long = best.x.tolist()
    phase = math.atan2(-odd, even)
    if (orientation // math.pi) % 2:  # the same wave, seen from its other end
        phase = -phase
    explained = 1 - 2 * float(best.cost) / total if total > 0 else 0.0
    return Gabor(math.hypot(even, odd), x, y, orientation % math.pi, frequency, phase, wide, long,
                 explained)  # fmt: skip


def _grid(height: int, width: int) -> tuple[Array, Array]:
    y, x = np.mgrid[:height, :width].astype(np.float64)
    return x, y


def _gabor(shape: Array, x: Array, y: Array) -> Array:
    """(height, width, 2): the window times cosine and times sine."""
    centre_x, centre_y, angle, frequency, width, length = shape
    u = (x - centre_x) * math.cos(angle) + (y - centre_y) * math.sin(angle)
    v = (y - centre_y) * math.cos(angle) - (x - centre_x) * math.sin(angle)
    window = np.exp(-((u / width) ** 2 + (v / length) ** 2) / 2)
    wave = 2 * math.pi * frequency * u
    return np.stack([window * np.cos(wave), window * np.sin(wave)], axis=-1)


def _starts(pattern: Array) -> list[Array]:
    """The three strongest waves of the spectrum, each with two windows around the energy's centre.

    The spectrum is sampled finely (zeros around the pattern), as a small filter has few bins.
    """
    height, width = pattern.shape
    x, y = _grid(height, width)
    energy = pattern**2 / max(float((pattern**2).sum()), 1e-30)
    centre = float((energy * x).sum()), float((energy * y).sum())
    size = 32
    power = np.abs(np.fft.fft2(pattern, (size, size))) ** 2
    fy, fx = np.meshgrid(*[np.fft.fftfreq(size)] * 2, indexing="ij")
    half = (fy > 0) | ((fy == 0) & (fx >= 0))
    starts = []
    for _ in range(3):
        place = np.unravel_index(np.argmax(power * half), power.shape)
        frequency = math.hypot(fx[place], fy[place])
        angle = math.atan2(fy[place], fx[place])
        near = np.hypot(fx - fx[place], fy - fy[place]) < 1.5 / max(height, width)
        power = np.where(near, 0.0, power)
        starts += [
            np.array([*centre, angle, frequency, spread * width, spread * height])
            for spread in (0.15, 0.3)
        ]
    return starts


def draw_gabor(weight: Tensor, patterns: Tensor, fits: Sequence[Gabor], *, name: str) -> Figure:
    """Each filter (out, in, height, width), its main pattern and the function, best fits first."""
    shares = [fit.explained for fit in fits]
    order = sorted(range(len(fits)), key=lambda number: -shares[number])
    places = np.linspace(0, len(order) - 1, min(MOST, len(order))).round().astype(int)
    shown = [order[place] for place in places]
    coloured = weight.shape[1] == 3
    cells = []
    for number in shown:
        wave = torch.from_numpy(fits[number].values(*patterns.shape[1:]))
        tiles = [signed(weight[number][None])] if coloured else []
        tiles += [signed(each[None, None]) for each in (patterns[number], wave)]
        joined = mosaic(magnified(np.concatenate(tiles), 8), columns=len(tiles), gap=3)
        cells.append(Cell(joined, f"{number}: {shares[number]:.0%}", apart=True))
    what = "filter, its main pattern, Gabor function" if coloured else "pattern, Gabor function"
    part = "" if len(shown) == len(fits) else f"; {len(shown)} of {len(fits)}, evenly chosen"
    return draw_table(
        in_rows(cells, columns_for(len(cells), wide=0.6, most=6)),
        title=f"{name}: {what}; share of the variance explained\n"
        f"median {median_high(shares):.0%}, "
        f"{sum(share >= 0.8 for share in shares)} of {len(shares)} filters at least 80%{part}; "
        "each tile scaled, grey is zero",
        side=1.7,
    )


@picture("gabor")
def gabor(
    *,
    model: Model,
    layer: str | None = None,
) -> Picture:
    """Gabor functions fitted to the first layer's filters."""
    name, weight = kernels(model, layer)
    if min(weight.shape[2:]) < 5:
        size = " x ".join(map(str, weight.shape[2:]))
        large = [n for n, w in all_kernels(model).items() if min(w.shape[2:]) >= 5]
        remedy = "all filters of this network are so small; `visualize filters` shows them"
        raise UsageError(
            f"the filters of '{name}' are {size}: a Gabor function, which has 8 parameters, fits "
            "anything so small",
            remedy=f"these are large enough: {listed(large, most=8)}" if large else remedy,
        )
    patterns = grey_filters(weight)
    fits = [fit_gabor(pattern) for pattern in patterns.numpy()]
    figure = draw_gabor(weight.detach().float().cpu(), patterns, fits, name=name)
    median = median_high(fit.explained for fit in fits)
    text = f"{name}: Gabor functions explain {median:.1%} of the variance (median)"
    return Picture(figure, {"layer": name, "filters": [vars(fit) for fit in fits]}, text)
