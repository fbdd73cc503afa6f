"""Occlusion of a network that looks at one pixel."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from cnntrain.explain.occlusion import draw_occlusion, occlude, usual_stride


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


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(32, 32, 8), (143, 143, 35), (224, 224, 56), (28, 200, 7), (9, 9, 1)],
)
def test_the_usual_step_tries_at_most_two_hundred_squares(
    height: int, width: int, size: int
) -> None:
    """Along a side squares stand at 0, s, 2 s, ..., below its end, and one ends at the border."""

    def squares(step: int) -> int:
        return (-(-(height - size) // step) + 1) * (-(-(width - size) // step) + 1)

    step = usual_stride(height, width, size=size)
    assert 1 <= step <= size  # no gaps
    assert squares(step) <= 200
    assert step == 1 or squares(step - 1) > 200


def test_the_ends_of_the_colours_are_told_and_that_they_are_means() -> None:
    image = torch.zeros(1, 1, 9, 9)
    image[0, 0, 5, 2] = 4.0
    found = occlude(OnePixel(), image, target=0, size=4, stride=1)
    pixels = image.permute(0, 2, 3, 1).expand(1, 9, 9, 3).clamp(0, 1).numpy()
    figure = draw_occlusion(pixels, [found], size=4, captions=["a"], aims=["for a"])
    told = [text.get_text() for text in figure.axes[0].texts]
    low, high = (f"{float(end):.1%}" for end in (found.pixels.min(), found.pixels.max()))
    assert told[-2:] == [low, high]
    assert f"for a\nmeans: {low} to {high}" in told
    assert found.lowest <= float(found.pixels.min())
