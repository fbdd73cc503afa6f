"""What is given back, next to what was to be given back."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from cnntrain.layers import layer


@layer("with_target", affine="plain", inputs="many")
class WithTarget(nn.Module):
    """An output with its target, for networks that reconstruct what one of their layers gives.

    `from: [output, target]`. A network of the task `layer_reconstruction` ends in it, as do the
    stages of greedy layer-wise training (Bengio, Lamblin, Popovici and Larochelle, "Greedy
    Layer-Wise Training of Deep Networks", 2007). The layers that give the target are to be frozen:
    if they learn, they learn to give what is easily reconstructed.

    Shape: (N, ...), (N, ...) -> (N, 2, ...): the output first.

    Raises:
        ValueError: the shapes differ, or there are not two.
    """

    def __init__(self, *, in_shape: tuple[tuple[int, ...], ...]) -> None:
        super().__init__()
        if len(in_shape) != 2:
            raise ValueError(
                f"with_target: it reads an output and its target, not {len(in_shape)} layers; "
                "write `from: [output, target]`"
            )
        output, target = in_shape
        if output != target:
            raise ValueError(
                f"with_target: the output is {output}, and what it is to give back {target}; "
                "bring the decoder to that shape"
            )

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """(N, ...), (N, ...) -> (N, 2, ...)."""
        return torch.stack([output, target], dim=1)
