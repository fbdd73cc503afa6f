"""The mean of the softmax over views, against the plain formula, in any batches."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cnntrain.tasks.classification import CLASSIFICATION
from cnntrain.train.evaluation import mean_answers


class Sizeless(nn.Module):
    """A network for images of any size; it notes how many pixels it gets at once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, 3)
        self.pixels: list[int] = []

    def forward(self, images: Tensor) -> Tensor:
        assert not self.training
        self.pixels.append(len(images) * images.shape[2] * images.shape[3])
        return 9 * self.conv(images).tanh().amax(dim=(2, 3))


def half(views: Tensor) -> Tensor:
    assert views.dtype == torch.uint8
    return views.float() / 255 - 0.5


@pytest.mark.parametrize("batch_pixels", [1, 100, 333, 10_000])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_mean_over_views_of_different_sizes(batch_pixels: int, mirrored: bool) -> None:
    torch.manual_seed(1)
    net = Sizeless().train()
    sizes = [(5, 7), (6, 6), (5, 7)]
    images = [
        [torch.randint(256, (3, *size), dtype=torch.uint8) for size in (*sizes, (4 + n, 8))]
        for n in range(5)
    ]
    found = mean_answers(
        net,
        images,
        task=CLASSIFICATION,
        prepare=half,
        mirrored=mirrored,
        batch_pixels=batch_pixels,
        precision="float32",
        device=torch.device("cpu"),
        memory_format=torch.channels_last,
    )
    assert net.training
    assert max(net.pixels) <= max(batch_pixels, 8 * 8)
    net.eval()
    for row, views in zip(found, images, strict=True):
        wanted = [half(view[None]) for view in views]
        wanted += [view.flip(3) for view in wanted] if mirrored else []
        with torch.no_grad():
            mean = torch.stack([net(view)[0].softmax(0) for view in wanted]).mean(0)
        assert (row.exp() - mean).abs().max() < 1e-6


def test_what_is_certain_to_be_wrong_keeps_a_finite_loss() -> None:
    certain = torch.tensor([[0.0, -300.0]])  # exp(-300) is 0 in float32
    assert CLASSIFICATION.together([certain, certain]).tolist() == [[0.0, -300.0]]
    assert CLASSIFICATION.together([certain, certain.flip(1)]).exp()[0].tolist() == pytest.approx(
        [0.5, 0.5]
    )
