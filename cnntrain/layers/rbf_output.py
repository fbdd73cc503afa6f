"""LeNet's output units."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from cnntrain.core.kinds import NonNegative, Positive
from cnntrain.layers import layer
from cnntrain.layers.shapes import shows, widened, without_autocast


@layer("rbf_output")
class RbfOutput(nn.Module):
    """Euclidean radial basis functions: minus the squared distance to each class's code.

    The published unit is `y_i = sum over j of (x_j - w_ij)**2`, a penalty: the smallest wins. The
    output here is -y_i, so that the largest wins and a loss on logits applies: the cross-entropy of
    -y is the paper's equation 9 without its constant for a rubbish class. LeCun et al.,
    "Gradient-Based Learning Applied to Document Recognition", 1998, equation 7; its codes are +1
    and -1, drawn by hand as 7x12 pictures of the characters. It follows a `scaled_tanh`, which
    reaches +1 and -1. The arithmetic is float32 at least, under autocast too.

    Shape: (N, F) -> (N, out).

    Args:
        out: number of classes.
        codes: 'random' for fixed codes of +1 and -1, all different, or 'trained' for codes that
            start so and are learned.
        seed: of the random codes; the run's seed does not change them.

    Raises:
        ValueError: F bits are not enough for different codes.
    """

    def __init__(
        self,
        *,
        in_features: int,
        out: Positive,
        codes: Literal["random", "trained"] = "random",
        seed: NonNegative = 0,
    ) -> None:
        super().__init__()
        if 2**in_features < out:
            raise ValueError(
                f"rbf_output: {in_features} inputs have {2**in_features} codes of +1 and -1, "
                f"fewer than the {out} classes; give the layer above at least "
                f"{(out - 1).bit_length()} outputs"
            )
        values = torch.empty(out, in_features)
        if not values.is_meta:
            values.copy_(_random_codes(out, in_features, seed=seed))
        self.in_features, self.out, self.trained = in_features, out, codes == "trained"
        if self.trained:
            self.codes = nn.Parameter(values)
        else:
            self.register_buffer("codes", values)

    def forward(self, x: Tensor) -> Tensor:
        """(N, F) -> (N, out), all of them 0 or less but for rounding."""
        return minus_squared_distance(x, self.codes)

    extra_repr = shows("in_features", "out", "trained")


@torch.fx.wrap  # one node of a traced graph: autocast below needs the real device
def minus_squared_distance(x: Tensor, codes: Tensor) -> Tensor:
    """-|x - w|**2 as 2 x w - |x|**2 - |w|**2: (N, F), (K, F) -> (N, K), the type of x."""
    with without_autocast(x):
        values = widened(x)
        centres = codes.to(values.dtype)
        lengths = values.square().sum(dim=1, keepdim=True)
        products = functional.linear(values, centres, -0.5 * centres.square().sum(dim=1))
        return (2 * products - lengths).to(x.dtype)


def _random_codes(count: int, bits: int, *, seed: int) -> Tensor:
    """Different rows of +1 and -1, (count, bits), on the CPU."""
    generator = torch.Generator("cpu").manual_seed(seed)
    rows = torch.empty(0, bits, device="cpu")
    while len(rows) < count:
        size = (count - len(rows), bits)
        drawn = torch.randint(0, 2, size, generator=generator, device="cpu") * 2.0 - 1.0
        rows = torch.unique(torch.cat([rows, drawn]), dim=0)
    return rows
