"""The contractive autoencoder's penalty."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call

from cnntrain.core.kinds import ClassList, NonNegativeFloat
from cnntrain.train.activations import ActivationPenalty, Misplaced, Seen
from cnntrain.train.penalties import penalty

_AFFINE = ("linear", "conv", "conv_transpose")
_ELEMENTWISE = (
    *("sigmoid", "hard_sigmoid", "tanh", "scaled_tanh", "softplus", "elu", "gelu", "silu"),
    *("relu", "relu6", "leaky_relu", "hard_swish", "abs"),
)


@penalty("contractive")
def contractive(*, layers: ClassList, weight: NonNegativeFloat = 0.1) -> ActivationPenalty:
    """Squared Frobenius norm of a layer's Jacobian: a code that changes little with the image.

    `weight / N sum over images n of |dh/dx (x_n)|^2` for h = s(W x + b): Rifai et al., "Contractive
    Auto-Encoders: Explicit Invariance During Feature Extraction", 2011, equation 7. In closed form,
    `sum over units i of s'(z_i)^2 sum over inputs j of W_ij^2` (their equation 9, for any s), so it
    costs one more forward pass of the layer. x is what the layer itself reads: of a stack of layers
    each has a penalty of its own.

    Args:
        layers: Names of linear, conv or conv_transpose layers, each with an activation behind it.
        weight: Factor of the mean.
    """

    def each(layer: Seen) -> Tensor:
        assert layer.follows is not None
        slope = _slope(layer.follows, layer.output)
        return weight * (slope.square() * _squared_rows(layer)).flatten(1).sum(dim=1).mean()

    def misplaced(operation: str, follows: str | None) -> Misplaced | None:
        if operation not in _AFFINE:
            what = f"a layer '{operation}' is not {', '.join(_AFFINE[:-1])} or {_AFFINE[-1]}"
            return Misplaced(what, "name the layer with the weights, in front of the activation")
        if follows not in _ELEMENTWISE:
            what = "no activation is directly behind it, so its Jacobian is its weights"
            return Misplaced(what, "put one there, or use weight decay")
        return None

    return ActivationPenalty(layers, each, misplaced)


def _slope(activation: nn.Module, z: Tensor) -> Tensor:
    """s'(z) of an elementwise function, itself differentiable."""
    z = z if z.requires_grad else z.detach().requires_grad_()
    (slope,) = torch.autograd.grad(activation(z).sum(), z, create_graph=True)
    return slope


def _squared_rows(layer: Seen) -> Tensor:
    """`sum over j of W_ij^2` for each unit i, (1, *units): the layer's map with squared weights.

    Weights that a border of zeros meets are not counted, as in the Jacobian.
    """
    weight = layer.module.get_parameter("weight")
    squared = {"weight": weight.square()}
    bias = layer.module._parameters.get("bias")
    if bias is not None:
        squared["bias"] = torch.zeros_like(bias)
    ones = torch.ones(1, *layer.in_shape, device=weight.device, dtype=weight.dtype)
    rows: Tensor = functional_call(layer.module, squared, (ones,))
    return rows
