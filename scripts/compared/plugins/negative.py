import torch
from torch import Tensor

from cnntrain.core.kinds import Fraction
from cnntrain.data import transform


@transform("negative", random=True, before_normalize=True)
class Negative:
    """Turn black into white in some images.

    Args:
        p: the share of them.
    """

    def __init__(self, *, p: Fraction = 0.5) -> None:
        self.p = p

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return size

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        chosen = torch.rand(len(images), generator=generator, device=images.device) < self.p
        white = 255 if images.dtype == torch.uint8 else 1
        return torch.where(chosen[:, None, None, None], white - images, images)
