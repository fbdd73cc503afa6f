"""What inner layers give."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from cnntrain.core.errors import DataError, DivergedError
from cnntrain.data.batch import Loader
from cnntrain.model.taps import Tap, bounded, features, tapped

NET = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)).eval()
IMAGES = torch.randn(7, 1, 6, 6, generator=torch.Generator().manual_seed(3))


def test_outputs_and_inputs(batches: Callable[..., Loader]) -> None:
    taps = [Tap("0"), Tap("3", reads=True), Tap("3")]
    assert [str(tap) for tap in taps] == ["0", "input of '3'", "3"]
    targets = torch.arange(7)
    found, labels = features(NET, batches(IMAGES, targets), taps=taps, limit=10**6)
    with torch.no_grad():
        maps = NET[0](IMAGES)
        flat = maps.relu().flatten(1)
        expected = [maps.flatten(1), flat, NET[3](flat)]
    for tap, values in zip(taps, expected, strict=True):
        torch.testing.assert_close(found[tap], values)
    assert labels.tolist() == list(range(7))
    assert not NET[0]._forward_hooks
    assert not NET[3]._forward_pre_hooks


def test_a_place_that_is_named_twice_is_read_once(batches: Callable[..., Loader]) -> None:
    found, _ = features(NET, batches(IMAGES), taps=[Tap("3"), Tap("3")], limit=10**6)
    torch.testing.assert_close(found, {Tap("3"): NET(IMAGES)})


def test_what_is_not_finite_is_told(batches: Callable[..., Loader]) -> None:
    with pytest.raises(DataError, match=r"numbers 0, 1, 2 .* hold values that are not finite"):
        features(NET, batches(IMAGES / 0), taps=[Tap("3")], limit=10**6)
    large = copy.deepcopy(NET)
    torch.nn.init.constant_(large[0].weight, 100.0)
    with pytest.raises(DivergedError, match=r"the output of layer '0' \(Conv2d\) is not finite"):
        features(large, batches(IMAGES.sign() * 3e38), taps=[Tap("0")], limit=10**6)


def test_hooks_go_when_something_fails() -> None:
    try:
        with tapped(NET, [Tap("0")]):
            raise ValueError
    except ValueError:
        assert not NET[0]._forward_hooks


def test_maps_are_averaged_over_the_finest_grid_that_is_small_enough() -> None:
    maps = torch.randn(2, 4, 6, 6)
    assert torch.equal(bounded(maps, 144), maps.flatten(1))
    by_hand = maps.view(2, 4, 3, 2, 3, 2).mean(dim=(3, 5)).flatten(1)
    torch.testing.assert_close(bounded(maps, 36), by_hand)
    torch.testing.assert_close(bounded(maps, 63), by_hand)  # 4 x 4 regions would be 64
    torch.testing.assert_close(bounded(maps, 1), maps.mean(dim=(2, 3)))
    assert bounded(maps[:, :, 0, 0], 1).shape == (2, 4)
