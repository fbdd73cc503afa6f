import torch
from torch import Tensor

from cnntrain.core.kinds import Positive
from cnntrain.data import transform


@transform("shift", random=True, before_normalize=True, by_image=True)
class Shift:
    """Roll each image by some columns; done in the workers where images are streamed.

    Args:
        columns: at most so many.
    """

    def __init__(self, *, columns: Positive = 2) -> None:
        self.columns = columns

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return size

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        steps = torch.randint(0, self.columns + 1, (len(images),), generator=generator).tolist()
        return torch.stack(
            [image.roll(step, -1) for image, step in zip(images, steps, strict=True)]
        )
