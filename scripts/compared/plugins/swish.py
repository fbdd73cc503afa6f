from torch import Tensor, nn

from cnntrain.core.kinds import PositiveFloat
from cnntrain.layers import layer


@layer("swish")
class Swish(nn.Module):
    """x * sigmoid(slope * x) (Ramachandran et al. 2017), with a factor for each map.

    Args:
        slope: how sharp it is.
    """

    def __init__(self, *, in_channels: int, slope: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.slope = slope
        self.factor = nn.Conv2d(in_channels, in_channels, 1, groups=in_channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.factor(x * (self.slope * x).sigmoid())
