"""Whitening: what it promises of the patches' covariance, computed with torch.cov."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from cnntrain.layers.whiten import Whiten


def images(count: int = 300, channels: int = 3) -> Tensor:
    """Neighbouring pixels depend on each other, and the mean is not 0."""
    noise = torch.randn(count, channels, 10, 10, generator=torch.Generator().manual_seed(0))
    return noise.cumsum(dim=2) + 0.5 * noise.cumsum(dim=3) + 3.0


def learnt(inputs: Tensor, **values: object) -> Whiten:
    layer = Whiten(in_shape=tuple(inputs.shape[1:]), **values)
    layer.learn_from(inputs)
    return layer


def covariance(maps: Tensor) -> Tensor:
    """Of the maps, over images and pixels."""
    return torch.cov(maps.double().transpose(0, 1).flatten(1))


def test_the_maps_of_whitened_patches_are_uncorrelated_with_variance_1() -> None:
    inputs = images()
    maps = learnt(inputs, epsilon=1e-12)(inputs).detach()
    assert maps.shape == (300, 24, 9, 9)
    torch.testing.assert_close(covariance(maps[:, :12]), torch.eye(12).double(), atol=1e-4, rtol=0)
    assert torch.equal(maps[:, 12:], -maps[:, :12])


def test_the_largest_axis_is_first_and_epsilon_is_added_to_its_variance() -> None:
    # numpy's covariance and eigenvalues of patches cut out by unfold, as Page's article does it
    inputs, epsilon = images(), 0.7
    patches = functional.unfold(inputs.double(), 2).transpose(1, 2).flatten(0, 1)
    variances = torch.linalg.eigvalsh(torch.cov(patches.T, correction=0)).flip(0)
    maps = learnt(inputs, epsilon=epsilon)(inputs)[:, :12].detach()
    expected = variances / (variances + epsilon)
    torch.testing.assert_close(covariance(maps).diagonal(), expected, rtol=1e-3, atol=1e-6)


def test_it_is_the_same_whatever_the_number_of_images_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_once = learnt(images())
    monkeypatch.setattr("cnntrain.layers.whiten._AT_ONCE", 7)
    torch.testing.assert_close(learnt(images()).weight, at_once.weight, rtol=1e-5, atol=1e-6)


def test_pixels_that_never_change_do_not_blow_up() -> None:
    inputs = torch.zeros(20, 1, 6, 6)
    maps = learnt(inputs)(inputs)
    assert maps.isfinite().all()


def test_only_the_bias_is_trained_and_the_weights_are_kept() -> None:
    layer = learnt(images())
    assert [name for name, _ in layer.named_parameters()] == ["bias"]
    assert set(layer.state_dict()) == {"weight", "bias"}
    assert not list(Whiten(in_shape=(1, 5, 5), bias=False).parameters())


def test_before_it_has_seen_images_it_gives_the_pixels_of_each_patch() -> None:
    x = images(2, 1)
    y = Whiten(in_shape=(1, 10, 10), kernel=[1, 2], epsilon=1e-12)(x)
    for number, map in enumerate((x[:, 0, :, :-1], x[:, 0, :, 1:])):
        torch.testing.assert_close(y[:, number], map)
        torch.testing.assert_close(y[:, 2 + number], -map)


@pytest.mark.parametrize(
    ("shape", "message"),
    [((12,), r"whiten reads maps \(C, H, W\)"), ((1, 1, 5), "a patch of 2 x 2 is larger")],
)
def test_inputs_without_patches(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Whiten(in_shape=shape)
