"""Cross entropy of pixels."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.tasks import loss
from cnntrain.tasks.criterion import MeanLoss

_SMALL = 1e-7
"""An output this near 0 or 1 counts as that far from it: in float32 a sigmoid of 17 is 1."""


@loss("pixel_cross_entropy", fits=("image",), ends_in="sigmoid")
def pixel_cross_entropy() -> MeanLoss:
    """Cross entropy between pixels from 0 to 1 and the outputs of a sigmoid, summed over pixels.

    `-sum_j x_j log y_j + (1 - x_j) log(1 - y_j)`, least where y is x. Vincent, Larochelle, Lajoie,
    Bengio, Manzagol, "Stacked Denoising Autoencoders", 2010, section 2.2. The network must end in
    `sigmoid`, and its images must not be normalised; where it gives back one of its layers
    (`layer_reconstruction`), that is to be a sigmoid, too.
    """
    return MeanLoss(_each)


def _each(outputs: Tensor, targets: Tensor) -> Tensor:
    inside = outputs.clamp(_SMALL, 1 - _SMALL)
    logs = targets * inside.log() + (1 - targets) * torch.log1p(-inside)
    return -logs.flatten(1).sum(dim=1)
