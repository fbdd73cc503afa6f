"""A fully connected layer whose weights are dropped at random."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import Fraction, Positive
from cnntrain.layers import layer
from cnntrain.layers.shapes import shows


@layer("dropconnect", affine="mixes")
class DropConnect(nn.Module):
    """DropConnect: y = (M * W) x + m * b, in training each weight is zeroed with probability p.

    The masks M and m are new in each step; what is kept is multiplied by 1 / (1 - p), so that
    evaluation is a plain fully connected layer with the mean weights. The paper evaluates by
    sampling a normal distribution with the masked layer's mean and variance, of which this is the
    mean. Wan et al., "Regularization of Neural Networks using DropConnect", 2013, section 3.

    Shape: (N, F) -> (N, out).

    Args:
        out: number of outputs.
        p: probability that a weight is zeroed.
        per: 'image' for a mask of its own for each image (the paper; takes N out F numbers of
            memory), 'batch' for one mask for all images of a batch.
        bias: whether each output has a learned offset b, masked like the weights.
    """

    def __init__(
        self,
        *,
        in_features: int,
        out: Positive,
        p: Fraction = 0.5,
        per: Literal["image", "batch"] = "image",
        bias: bool = True,
    ) -> None:
        super().__init__()
        plain = nn.Linear(in_features, out, bias=bias)  # for its initial values
        self.weight, self.bias = plain.weight, plain.bias
        self.in_features, self.out, self.p, self.per = in_features, out, p, per

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> (N, out)."""
        if not self.training:
            return functional.linear(x, self.weight, self.bias)
        images = x.shape[0] if self.per == "image" else 1
        weight = functional.dropout(self.weight.expand(images, -1, -1), self.p)
        if self.per == "batch":
            products = functional.linear(x, weight[0])
        else:
            products = (weight @ x.unsqueeze(2)).squeeze(2)
        if self.bias is None:
            return products
        offset = functional.dropout(self.bias.expand(images, -1), self.p)
        return products + offset.to(products.dtype)

    extra_repr = shows("in_features", "out", "p", "per")
