import torch

from cnntrain.core.kinds import Positive
from cnntrain.data import dataset
from cnntrain.data.parts import Pixels, Splits  # as in the README of a34a4eb


@dataset("squares", classes=2, channels=1, size=16)
def squares(*, images: Positive = 400) -> Splits:
    """Dark and light squares, with noise.

    Args:
        images: how many.
    """
    targets = torch.arange(images) % 2
    noise = torch.randint(0, 200, (images, 1, 16, 16), generator=torch.Generator().manual_seed(0))
    pixels = (noise + 50 * targets[:, None, None, None]).to(torch.uint8)
    return Splits(classes=("dark", "light"), train=Pixels(pixels, targets))
