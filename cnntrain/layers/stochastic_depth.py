"""Residual branches that are dropped at random."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Fraction
from cnntrain.layers import layer
from cnntrain.layers.shapes import shows


@layer("stochastic_depth", affine="plain")
class StochasticDepth(nn.Module):
    """Stochastic depth: in training the whole input is zeroed with probability p.

    It goes last into the `body` of a `residual`, which then is `b f(x) + x` with a Bernoulli
    variable b: the branch is dropped and the shortcut stays. What is kept is multiplied by
    1 / (1 - p), so that evaluation passes its input on unchanged; the paper instead multiplies by
    1 - p in evaluation. Huang et al., "Deep Networks with Stochastic Depth", 2016, equations 2
    and 5; there p grows linearly with depth, in block l of L it is 0.5 l / L.

    Shape: any -> the same.

    Args:
        p: probability that the branch is dropped (1 minus the paper's survival probability).
        per: 'batch' drops the branch for all images of a batch together (the paper), 'image' for
            each by itself, which gives a gradient of less variance.
    """

    def __init__(
        self,
        *,
        in_shape: tuple[int, ...],
        p: Fraction = 0.5,
        per: Literal["batch", "image"] = "batch",
    ) -> None:
        super().__init__()
        self.p = p
        self.per = per
        self._ones = (1,) * len(in_shape)

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) -> the same."""
        if not self.training or self.p == 0.0:
            return x
        images = x.shape[0] if self.per == "image" else 1
        kept = functional.dropout(x.new_ones((images, *self._ones)), self.p)
        return torch.mul(x, kept)

    extra_repr = shows("p", "per")
