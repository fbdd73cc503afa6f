"""Activations: functions of one number, applied to each value.

None of them works in place: a name above may be read by several layers, tapped or pictured, and
must keep its value.
"""

from __future__ import annotations

from torch import nn

from cnntrain.core.kinds import NonNegativeFloat, PositiveFloat
from cnntrain.layers import layer


@layer("relu")
def relu() -> nn.ReLU:
    """Rectified linear unit: max(0, x).

    Nair and Hinton, "Rectified Linear Units Improve Restricted Boltzmann Machines", 2010.

    Shape: any -> the same.
    """
    return nn.ReLU()


@layer("relu6")
def relu6() -> nn.ReLU6:
    """Rectified linear unit with a ceiling: min(max(0, x), 6).

    Krizhevsky, "Convolutional Deep Belief Networks on CIFAR-10", 2010; MobileNet's, because numbers
    of few bits represent its values well.

    Shape: any -> the same.
    """
    return nn.ReLU6()


@layer("leaky_relu", linear_at={"slope": 1.0})
def leaky_relu(*, slope: NonNegativeFloat = 0.01) -> nn.LeakyReLU:
    """Leaky rectifier: x for x > 0, else slope x.

    Maas et al., "Rectifier Nonlinearities Improve Neural Network Acoustic Models", 2013.

    Shape: any -> the same.

    Args:
        slope: derivative for negative x.
    """
    return nn.LeakyReLU(slope)


@layer("prelu")
def prelu(
    *, in_shape: tuple[int, ...], per_channel: bool = True, initial: NonNegativeFloat = 0.25
) -> nn.PReLU:
    """Parametric rectifier: x for x > 0, else a x with a learned slope a.

    He et al., "Delving Deep into Rectifiers", 2015, equation 1. The authors train the slopes
    without weight decay, which would pull them to the plain rectifier.

    Shape: (N, C, ...) -> the same.

    Args:
        per_channel: one slope for each channel, or else one for the whole layer.
        initial: the slopes before training.
    """
    return nn.PReLU(in_shape[0] if per_channel else 1, init=initial)


@layer("elu")
def elu(*, alpha: PositiveFloat = 1.0) -> nn.ELU:
    """Exponential linear unit: x for x > 0, else alpha (exp(x) - 1).

    Clevert et al., "Fast and Accurate Deep Network Learning by Exponential Linear Units", 2015.

    Shape: any -> the same.

    Args:
        alpha: the value reached at minus infinity, with a minus sign.
    """
    return nn.ELU(alpha)


@layer("silu")
def silu() -> nn.SiLU:
    """Sigmoid linear unit, also called Swish: x / (1 + exp(-x)).

    Elfwing et al., "Sigmoid-Weighted Linear Units for Neural Network Function Approximation in
    Reinforcement Learning", 2017; Ramachandran et al., "Searching for Activation Functions", 2017.

    Shape: any -> the same.
    """
    return nn.SiLU()


@layer("hard_swish")
def hard_swish() -> nn.Hardswish:
    """Swish without an exponential: x min(max(0, x + 3), 6) / 6.

    Howard et al., "Searching for MobileNetV3", 2019, section 5.2.

    Shape: any -> the same.
    """
    return nn.Hardswish()


@layer("hard_sigmoid")
def hard_sigmoid() -> nn.Hardsigmoid:
    """Logistic function in three straight pieces: min(max(0, x + 3), 6) / 6.

    Howard et al., "Searching for MobileNetV3", 2019, section 5.2.

    Shape: any -> the same.
    """
    return nn.Hardsigmoid()


@layer("softplus")
def softplus(*, beta: PositiveFloat = 1.0) -> nn.Softplus:
    """Softplus, a smooth rectifier: log(1 + exp(beta x)) / beta.

    Dugas et al., "Incorporating Second-Order Functional Knowledge for Better Option Pricing", 2000.

    Shape: any -> the same.

    Args:
        beta: sharpness of the bend; large values approach the rectifier.
    """
    return nn.Softplus(beta)


@layer("sigmoid")
def sigmoid() -> nn.Sigmoid:
    """Logistic function: 1 / (1 + exp(-x)); its slope is at most 1/4.

    Shape: any -> the same.
    """
    return nn.Sigmoid()


@layer("tanh")
def tanh() -> nn.Tanh:
    """Hyperbolic tangent: (exp(x) - exp(-x)) / (exp(x) + exp(-x)).

    Shape: any -> the same.
    """
    return nn.Tanh()


@layer("softmax")
def softmax() -> nn.Softmax:
    """Softmax over the channels: exp(x_c) / sum over k of exp(x_k).

    Do not end a net with it: the cross-entropy loss takes the scores before the softmax and
    applies it itself.

    Shape: (N, C, ...) -> the same.
    """
    return nn.Softmax(dim=1)
