"""The L1 norm of activations."""

from __future__ import annotations

from torch import Tensor

from cnntrain.core.kinds import ClassList, NonNegativeFloat
from cnntrain.train.activations import ActivationPenalty, Seen
from cnntrain.train.penalties import penalty


@penalty("activation_l1")
def activation_l1(*, layers: ClassList, weight: NonNegativeFloat) -> ActivationPenalty:
    """Sum of the magnitudes of a layer's outputs, per image, averaged over the images.

    Its gradient is the same for small outputs as for large ones, so many become exactly 0 behind a
    rectifier: a sparse code (Olshausen and Field, "Emergence of Simple-Cell Receptive Field
    Properties by Learning a Sparse Code for Natural Images", 1996; Glorot, Bordes and Bengio, "Deep
    Sparse Rectifier Neural Networks", 2011, section 4.1).

    `weight / N sum over images n and outputs j of |a_j(x_n)|`; the penalties of several layers add
    up.

    Args:
        layers: Names of layers, such as [relu1, mid.relu2]; their outputs are made small.
        weight: Factor of the sum.
    """

    def each(layer: Seen) -> Tensor:
        return weight * layer.output.abs().flatten(1).sum(dim=1).mean()

    return ActivationPenalty(layers, each)
