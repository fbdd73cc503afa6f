"""Points in the plane, for networks that are small enough to be understood."""

from __future__ import annotations

import torch
from torch import Tensor

from cnntrain.core.errors import DataError
from cnntrain.core.kinds import NonNegative, Positive
from cnntrain.core.seeding import derive_seed
from cnntrain.data import dataset
from cnntrain.data.splits import Pixels, Splits

_MIDDLE, _APART = 128, 48
"""The middle of the plane, and how far those of both discs are from it, along each axis."""
_DISC, _RING = (0, 48), (72, 116)
"""The smallest and the largest distance of a point from the middle of its cloud."""


@dataset("points", classes=("first", "second"), channels=1, size=(1, 2), validation=False)
def points(
    *,
    separable: bool = True,
    points: Positive = 1000,
    test_points: NonNegative = 1000,
    seed: NonNegative = 0,
) -> Splits:
    """Two clouds of points in the plane; a point is a grey image of 1 x 2 pixels, x and y.

    Either two discs, which a straight line separates, or a disc inside a ring, which none does: a
    linear network has an error, one with a hidden layer need not (Minsky and Papert 1969). Points
    are spread evenly over their cloud, no two at one place, and alternate between both.

    Args:
        separable: two discs; false: a disc and a ring.
        points: for training.
        test_points: 0 for no test set.
        seed: decides where the points are.

    Raises:
        DataError: there are fewer places than points.
    """
    if separable:
        clouds = [_places(_MIDDLE - _APART, _DISC), _places(_MIDDLE + _APART, _DISC)]
    else:
        clouds = [_places(_MIDDLE, _DISC), _places(_MIDDLE, _RING)]
    most = 2 * min(map(len, clouds))
    if points + test_points > most:
        message = f"{points:,} and {test_points:,} points are more than the {most:,} places"
        raise DataError(message, remedy="lower `data.points` or `data.test_points`")
    generator = torch.Generator().manual_seed(derive_seed(seed, "points"))
    mixed = [cloud[torch.randperm(len(cloud), generator=generator)] for cloud in clouds]
    alternate = torch.stack([cloud[: most // 2] for cloud in mixed], dim=1)  # (places, class, 2)
    images = alternate.view(-1, 1, 1, 2).to(torch.uint8)
    whole = Pixels(images, torch.arange(len(images)) % 2)
    places = torch.arange(points + test_points)
    test = whole.select(places[points:]) if test_points else None
    return Splits(("first", "second"), whole.select(places[:points]), test=test)


def _places(middle: int, distances: tuple[int, int]) -> Tensor:
    """All points `(N, 2)` with whole coordinates at these distances from (middle, middle)."""
    axis = torch.arange(-distances[1], distances[1] + 1)
    grid = torch.cartesian_prod(axis, axis)
    squares = grid.square().sum(dim=1)
    return grid[(squares >= distances[0] ** 2) & (squares <= distances[1] ** 2)] + middle
