"""Schemes for initial weights: a closed set of small records, and `fill`, which obeys them.

He et al., "Delving Deep into Rectifiers", 2015 (Kaiming); Glorot and Bengio, "Understanding the
Difficulty of Training Deep Feedforward Neural Networks", 2010 (Xavier); LeCun et al., "Efficient
BackProp", 1998, section 4.6 (LeCun); Saxe et al., "Exact Solutions to the Nonlinear Dynamics of
Learning in Deep Linear Neural Networks", 2013 (orthogonal).

A fan is the number of weights that meet in one unit: in a convolution with groups, fan_in =
in / groups x kernel height x width and fan_out = out / groups x kernel height x width. So He et al.
derive it (equation 14 counts the outputs that an input reaches), and so the authors' programs for
MNASNet, MobileNet V3 and EfficientNet do it. torch.nn.init, and with it torchvision, does not
divide fan_out by the groups: its depthwise convolutions start sqrt(maps) times smaller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

Distribution = Literal["normal", "uniform"]
Nonlinearity = Literal["linear", "sigmoid", "tanh", "relu", "leaky_relu", "selu"]


@dataclass(frozen=True)
class Kaiming:
    """Mean 0, standard deviation gain / sqrt(fan), with the gain of the nonlinearity (relu: √2).

    `mode` fan_in keeps the variance in the forward pass, fan_out in the backward pass; `slope` is
    leaky_relu's. Gains are torch's (`torch.nn.init.calculate_gain`).
    """

    mode: Literal["fan_in", "fan_out"] = "fan_in"
    nonlinearity: Nonlinearity = "relu"
    distribution: Distribution = "normal"
    slope: float = 0.01


@dataclass(frozen=True)
class Xavier:
    """Mean 0, standard deviation gain x sqrt(2 / (fan_in + fan_out))."""

    distribution: Distribution = "uniform"
    gain: float = 1.0


@dataclass(frozen=True)
class Lecun:
    """Mean 0, standard deviation 1 / sqrt(fan_in)."""

    distribution: Distribution = "normal"


@dataclass(frozen=True)
class Normal:
    """The same normal distribution for each layer; AlexNet's is 0.01."""

    std: float = 0.01
    mean: float = 0.0


@dataclass(frozen=True)
class TruncatedNormal:
    """A normal distribution without what lies more than `cut` standard deviations off."""

    std: float = 0.01
    mean: float = 0.0
    cut: float = 2.0


@dataclass(frozen=True)
class Uniform:
    """The same uniform distribution for each layer."""

    low: float
    high: float


@dataclass(frozen=True)
class Constant:
    """One value."""

    value: float


@dataclass(frozen=True)
class Orthogonal:
    """gain x a matrix (out, rest) with orthonormal rows or columns, whichever are fewer."""

    gain: float = 1.0


@dataclass(frozen=True)
class Identity:
    """Output map i is input map i at first; further output maps keep what they had.

    Of a kernel the centre is 1, all else 0; each group of a convolution has maps of its own.
    Zagoruyko and Komodakis, "DiracNets", 2017; as an initialisation alone Jordan, "94% on CIFAR-10
    in 3.29 Seconds on a Single GPU", 2024, section 3.3.
    """


Scheme = (
    Kaiming | Xavier | Lecun | Normal | TruncatedNormal | Uniform | Constant | Orthogonal | Identity
)
MATRIX_ONLY = (Kaiming, Xavier, Lecun, Orthogonal, Identity)
"""Schemes that mean something for matrices and kernels only."""


def fans_of(module: nn.Module) -> tuple[int, int]:
    """(fan_in, fan_out) of a module; (1, 1) if its weight is no matrix or kernel.

    A module whose weights' shape does not show it (unshared or missing ones) states its `fans`.
    Weights are (out, in / groups, ...), or (in, out / groups, ...) in transposed convolutions.
    """
    stated = getattr(module, "fans", None)
    if isinstance(stated, tuple):
        return int(stated[0]), int(stated[1])
    weight = module._parameters.get("weight")
    if weight is None or weight.dim() < 2:
        return 1, 1
    groups = getattr(module, "groups", 1)
    window = weight[0, 0].numel()
    fans = weight.shape[1] * window, weight.shape[0] // groups * window
    return (fans[1], fans[0]) if getattr(module, "transposed", False) else fans


@torch.no_grad()
def fill(tensor: Tensor, scheme: Scheme, *, fans: tuple[int, int], groups: int = 1) -> None:
    """Draw weights or biases in place, of a module with these (fan_in, fan_out) and groups."""
    match scheme:
        case Kaiming():
            gain = nn.init.calculate_gain(scheme.nonlinearity, scheme.slope)
            fan = fans[0] if scheme.mode == "fan_in" else fans[1]
            _draw(tensor, gain / math.sqrt(fan), scheme.distribution)
        case Xavier():
            std = scheme.gain * math.sqrt(2 / sum(fans))
            _draw(tensor, std, scheme.distribution)
        case Lecun():
            _draw(tensor, 1 / math.sqrt(fans[0]), scheme.distribution)
        case Normal():
            tensor.normal_(scheme.mean, scheme.std)
        case TruncatedNormal():
            low, high = (scheme.mean + side * scheme.cut * scheme.std for side in (-1, 1))
            nn.init.trunc_normal_(tensor, scheme.mean, scheme.std, low, high)
        case Uniform():
            tensor.uniform_(scheme.low, scheme.high)
        case Constant():
            tensor.fill_(scheme.value)
        case Orthogonal():
            nn.init.orthogonal_(tensor, scheme.gain)
        case Identity():
            centre = [side // 2 for side in tensor.shape[2:]]
            for group in tensor.chunk(groups):
                for number in range(min(group.shape[:2])):
                    group[number] = 0.0
                    group[number, number][tuple(centre)] = 1.0


def _draw(tensor: Tensor, std: float, distribution: Distribution) -> None:
    """Mean 0 and that standard deviation; a uniform distribution's bound is sqrt(3) times it."""
    if distribution == "normal":
        tensor.normal_(0.0, std)
    else:
        tensor.uniform_(-math.sqrt(3) * std, math.sqrt(3) * std)
