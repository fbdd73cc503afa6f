"""Tensors as pixels."""

from __future__ import annotations

import numpy as np
import torch

from cnntrain.show.image_table import heat
from cnntrain.show.pixels import Scaling, enlarged, mosaic, photographs, signed, stretched

SCALING = Scaling((0.5, 0.4, 0.3), (0.2, 0.3, 0.4))


def test_normalisation_is_undone() -> None:
    pixels = torch.rand(2, 3, 4, 5)
    mean, std = (torch.tensor(v).view(3, 1, 1) for v in (SCALING.mean, SCALING.std))
    normal = (pixels - mean) / std
    torch.testing.assert_close(SCALING.redo(pixels), normal)
    shown = photographs(normal, scaling=SCALING)
    np.testing.assert_allclose(shown, pixels.permute(0, 2, 3, 1).numpy(), atol=1e-6)
    grey = photographs(torch.full((1, 1, 2, 2), 9.0), scaling=Scaling((0.0,), (1.0,)))
    assert np.array_equal(grey, np.ones((1, 2, 2, 3)))


def test_zero_is_grey_and_the_largest_magnitude_is_black_or_white() -> None:
    tiles = torch.tensor([[-2.0, 0.0, 1.0], [0.0, 0.0, 0.0]]).view(2, 1, 1, 3)
    expected = [[0.0, 0.5, 0.75], [0.5, 0.5, 0.5]]
    assert signed(tiles)[:, 0, :, 0].tolist() == expected


def test_a_mosaic_has_white_lines() -> None:
    tiles = np.zeros((3, 2, 2, 3), dtype=np.float32)
    lines = ["..#..", "..#..", "#####", "..###", "..###"]
    expected = np.array([[mark == "#" for mark in line] for line in lines], dtype=np.float32)
    assert np.array_equal(mosaic(tiles, columns=2)[..., 0], expected)


def test_heat_ends_where_the_scale_ends() -> None:
    low, middle, high, above, none = heat([[0.0, 1.0, 2.0, 9.0, np.nan]], low=0, high=2)[0]
    assert none.tolist() == [1, 1, 1]
    assert np.array_equal(high, above)
    assert not np.array_equal(low, middle)


def test_enlarging_keeps_a_slope() -> None:
    """A linear ramp is a linear ramp at twice the size, but for the border."""
    ramp = torch.arange(4.0).view(1, 1, 4).expand(1, 4, 4)
    row = enlarged(ramp, (8, 8))[0, 0]
    torch.testing.assert_close(row[1:-1].diff(), torch.full((5,), 0.5))


def test_each_image_is_stretched_by_itself() -> None:
    images = torch.tensor([[2.0, 4.0], [-30.0, 10.0], [5.0, 5.0]]).view(3, 1, 1, 2)
    assert stretched(images).view(3, 2).tolist() == [[0, 1], [0, 1], [0, 0]]
