"""`batches`: the last one of an epoch, by arithmetic."""

from __future__ import annotations

import pytest
from torch import nn

from cnntrain.diagnose.checks.batches import check_batches


@pytest.mark.parametrize(
    ("images", "size", "drops_last", "last", "is_found"),
    [
        (65, 32, False, 1, True),  # 2 x 32 + 1
        (65, 32, True, 1, False),
        (64, 32, False, 32, False),
        (66, 32, False, 2, False),
        (1, 32, False, 1, False),  # the only batch there is: `fit` refuses it where it must
        (5, 1, False, 1, False),
    ],
)
def test_a_last_batch_of_one_image(
    images: int, size: int, drops_last: bool, last: int, is_found: bool
) -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    report = check_batches(net=net, train_images=images, batch_size=size, drops_last=drops_last)
    assert [finding.fault for finding in report.findings] == (["lone_image"] if is_found else [])
    assert report.numbers["last_batch"] == last


def test_other_layers_do_not_mind() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.GroupNorm(1, 2))
    report = check_batches(net=net, train_images=65, batch_size=32, drops_last=False)
    assert report.verdict == "fine"
    assert report.headline == "2 batches of 32 images, and one of 1"


def test_frozen_statistics_do_not_mind() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    net[1].frozen = True
    assert (
        check_batches(net=net, train_images=65, batch_size=32, drops_last=False).verdict == "fine"
    )
