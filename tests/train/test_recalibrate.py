"""Recalibrated batch normalisation against statistics computed directly over all images."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.core.errors import DataError
from cnntrain.train.recalibrate import recalibrate

Make = Callable[..., Any]


def deep_net(seed: int = 0) -> nn.Sequential:
    """Three normalisations, of maps and of flat values, with dropout between."""
    torch.manual_seed(seed)
    net = nn.Sequential(
        nn.Conv2d(1, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Conv2d(4, 3, 3),
        nn.BatchNorm2d(3, momentum=0.01),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(0.5),
        nn.Linear(12, 5),
        nn.BatchNorm1d(5, momentum=None),
    )
    for p in net.parameters():
        p.data += 0.3 * torch.rand(p.shape)
    return net


def norms(net: nn.Module) -> list[Any]:
    return [m for m in net.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]


def directly(net: nn.Sequential, images: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Layer by layer, all images at once in float64: mean and unbiased variance at each norm."""
    x, found = images.double(), []
    for module in net:
        if isinstance(module, nn.Dropout):
            continue
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            flat = x.transpose(0, 1).flatten(1)
            mean, variance = flat.mean(dim=1), flat.var(dim=1, correction=1)
            found.append((mean, variance))
            shape = (1, -1, *[1] * (x.dim() - 2))
            x = (x - mean.view(shape)) / (variance.view(shape) + module.eps).sqrt()
            x = x * module.weight.double().view(shape) + module.bias.double().view(shape)
        else:
            x = module.double()(x)
            module.float()
    return found


@pytest.mark.parametrize("batch_size", [1, 8, 37])
def test_exact_statistics_are_those_of_all_images_layer_by_layer(
    make_data: Make, batch_size: int
) -> None:
    net, loader = deep_net(), make_data(37)
    loader.shuffle, loader.batch_size = False, batch_size
    assert recalibrate(net, loader, exact=True) == ("1", "4", "9")
    with torch.no_grad():
        expected = directly(net, loader.images)
    for norm, (mean, variance) in zip(norms(net), expected, strict=True):
        torch.testing.assert_close(norm.running_mean.double(), mean, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(norm.running_var.double(), variance, rtol=1e-5, atol=1e-6)


def test_one_pass_averages_the_batches_by_their_images(make_data: Make) -> None:
    net, loader = deep_net(), make_data(37)  # batches of 8, 8, 8, 8 and 5
    loader.shuffle = False
    assert recalibrate(net, loader) == ("1", "4", "9")
    inputs: list[list[Tensor]] = [[], [], []]
    check = deep_net()
    for index, norm in enumerate(norms(check)):
        norm.register_forward_pre_hook(lambda _, x, i=index: inputs[i].append(x[0]))
    check.train()
    check[7].eval()
    with torch.no_grad():
        for batch in loader.batches(0):
            check(batch.images)
    for norm, seen in zip(norms(net), inputs, strict=True):
        flat = [x.transpose(0, 1).flatten(1) for x in seen]
        mean = sum(len(x) / 37 * f.mean(1) for x, f in zip(seen, flat, strict=True))
        variance = sum(len(x) / 37 * f.var(1) for x, f in zip(seen, flat, strict=True))
        torch.testing.assert_close(norm.running_mean, mean)
        torch.testing.assert_close(norm.running_var, variance)


def test_with_a_single_batch_one_pass_is_exact_but_for_biased_variances_in_between(
    make_data: Make,
) -> None:
    # Layers after the first see values divided by the biased deviation in training.
    loader = make_data(37)
    loader.shuffle, loader.batch_size = False, 37
    one, exact = deep_net(), deep_net()
    recalibrate(one, loader)
    recalibrate(exact, loader, exact=True)
    for first, second in zip(norms(one), norms(exact), strict=True):
        torch.testing.assert_close(first.running_mean, second.running_mean, rtol=1e-2, atol=1e-2)
        torch.testing.assert_close(first.running_var, second.running_var, rtol=1e-2, atol=1e-2)
    first, second = norms(one)[0], norms(exact)[0]
    torch.testing.assert_close(first.running_mean, second.running_mean)
    torch.testing.assert_close(first.running_var, second.running_var)


@pytest.mark.parametrize("exact", [True, False])
def test_only_the_statistics_change(make_data: Make, exact: bool) -> None:
    net = deep_net()
    net[3].eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    modes = [module.training for module in net.modules()]
    momenta = [norm.momentum for norm in norms(net)]
    state = torch.get_rng_state()
    recalibrate(net, make_data(20), exact=exact)
    assert torch.equal(torch.get_rng_state(), state)
    assert [module.training for module in net.modules()] == modes
    assert [norm.momentum for norm in norms(net)] == momenta
    after = net.state_dict()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert changed == {f"{place}.{name}" for place in (1, 4, 9) for name in statistics}
    assert after["1.num_batches_tracked"] == 3
    assert not any(p.grad is not None for p in net.parameters())
    assert not any(module._forward_pre_hooks for module in net.modules())


@pytest.mark.parametrize("exact", [True, False])
def test_what_was_before_does_not_matter(make_data: Make, exact: bool) -> None:
    fresh, spoilt = deep_net(), deep_net()
    for norm in norms(spoilt):
        norm.running_mean.fill_(7.0)
        norm.running_var.fill_(0.01)
        norm.num_batches_tracked.fill_(1000)
    for net in (fresh, spoilt):
        recalibrate(net, make_data(20), exact=exact)
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, spoilt.state_dict()[name])


@pytest.mark.parametrize("exact", [True, False])
def test_frozen_parts_and_those_without_statistics_stay(make_data: Make, exact: bool) -> None:
    net = deep_net()
    frozen = nn.Sequential(nn.BatchNorm2d(1), nn.Identity())
    frozen.frozen = True  # type: ignore[assignment]  # the mark of transfer learning
    whole = nn.Sequential(frozen, nn.BatchNorm2d(1, track_running_stats=False), net)
    before = {name: value.clone() for name, value in frozen.state_dict().items()}
    assert recalibrate(whole, make_data(20), exact=exact) == ("2.1", "2.4", "2.9")
    assert all(torch.equal(value, frozen.state_dict()[name]) for name, value in before.items())


def test_parts_that_are_not_run_in_evaluation_stay(make_data: Make) -> None:
    class WithHead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.BatchNorm2d(1)
            self.stem = nn.BatchNorm2d(1)

        def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
            y: Tensor = self.stem(x)
            return (y, self.head(y)) if self.training else y

    for exact in (True, False):
        net = WithHead()
        assert recalibrate(net, make_data(20), exact=exact) == ("stem",)
        assert net.head.num_batches_tracked == 0


def test_bfloat16_passes_give_float32_statistics(make_data: Make) -> None:
    for exact in (True, False):
        plain, half = deep_net(), deep_net()
        recalibrate(plain, make_data(20), exact=exact)
        recalibrate(half, make_data(20), exact=exact, precision="bfloat16")
        for first, second in zip(norms(plain), norms(half), strict=True):
            assert second.running_var.dtype == torch.float32
            torch.testing.assert_close(second.running_var, first.running_var, rtol=0.05, atol=0.01)


def test_a_net_without_batch_normalisation_is_left_alone(make_data: Make) -> None:
    assert recalibrate(nn.Sequential(nn.Flatten(), nn.Linear(36, 4)), make_data(5)) == ()


def test_what_it_refuses(make_data: Make) -> None:
    for exact in (True, False):
        with pytest.raises(DataError, match="no images to recalibrate with"):
            recalibrate(deep_net(), make_data(0), exact=exact)
    with pytest.raises(DataError, match="a batch of a single image has no variance: Expected more"):
        recalibrate(deep_net(), make_data(9))  # batches of 8 and 1
    recalibrate(deep_net(), make_data(9), exact=True)
