"""Occlusion of a network that looks at one pixel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cnntrain.visualize.occlusion import occlude


class OnePixel(nn.Module):
    """The first class's score is the pixel at row 5, column 2; the other one's is zero."""

    def forward(self, images: Tensor) -> Tensor:
        score = images[:, 0, 5, 2]
        return torch.stack([score, torch.zeros_like(score)], dim=1)


@pytest.mark.parametrize(("size", "stride"), [(3, 1), (3, 2), (4, 3), (9, 1)])
def test_only_squares_over_that_pixel_matter(size: int, stride: int) -> None:
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 5, 2] = 4.0
    found = occlude(OnePixel(), image, target=0, size=size, stride=stride)
    hidden = float(torch.tensor(4 / 81).sigmoid())  # the square has the image's mean
    assert found.whole == pytest.approx(1 / (1 + 2.718281828459045**-4), rel=1e-6)
    assert found.lowest == pytest.approx(hidden, rel=1e-6)
    top, left = found.square
    assert top <= 5 < top + size
    assert left <= 2 < left + size
    assert found.pixels[5, 2] == pytest.approx(hidden, rel=1e-6)
    starts = sorted({*range(0, 9 - size, stride), 9 - size})
    for row, column in [(0, 0), (5, 4), (8, 8)]:  # the mean over all squares that hide it
        over = [(y, x) for y in starts for x in starts
                if y <= row < y + size and x <= column < x + size]  # fmt: skip
        values = [hidden if y <= 5 < y + size and x <= 2 < x + size else found.whole
                  for y, x in over]  # fmt: skip
        expected = sum(values) / len(values)
        assert float(found.pixels[row, column]) == pytest.approx(expected, rel=1e-5)
