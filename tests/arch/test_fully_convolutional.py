"""Dense evaluation is the network on every window of the image, restated window by window."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cnntrain.arch.build import build
from cnntrain.arch.fully_convolutional import Dense
from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.core.errors import UsageError

Planned = Callable[..., Plan]
SHAPE = (3, 14, 14)

# Without padding a window of the image gives what the same window of the maps gives: strides of
# 2 in the convolution and in the pooling, so windows 4 pixels apart.
STRIDED = """
layers:
  - conv: {out: 4, kernel: 4, stride: 2}
  - relu
  - local_response_norm: {size: 3}
  - max_pool: {kernel: 2}
"""
FLAT = """
  - flatten
  - sequence: {layers: [{dropout: {p: 0.5}}, {linear: {out: 10}}, batch_norm, relu]}
  - sequence: {layers: [{linear: {out: 8}}, tanh]}
  - linear: {out: 5}
"""
POOLED_TO_ITS_SIZE = "  - adaptive_avg_pool: {out: 3}" + FLAT
TWO_PATHS = """
  - branches:
      paths:
        one: [flatten, {linear: {out: 6}}, tanh]
        two: [{conv: {out: 2, kernel: 1}}, flatten, {prelu: {}}]
  - linear: {out: 5}
"""


def made(planned: Planned, text: str) -> Network:
    """A network with batch-norm statistics of its own, in evaluation mode."""
    torch.manual_seed(5)
    net = build(planned(text, shape=SHAPE, classes=5))
    with torch.no_grad():
        for _ in range(4):
            net(torch.randn(16, *SHAPE))
    return net.eval()


def slid(net: Network, images: Tensor, *, step: int) -> Tensor:
    """The mean of the network's scores over all windows, cut out one by one."""
    height, width = SHAPE[1:]
    scores = [
        net(images[:, :, top : top + height, left : left + width])
        for top in range(0, images.shape[2] - height + 1, step)
        for left in range(0, images.shape[3] - width + 1, step)
    ]
    assert len(scores) > 4
    return torch.stack(scores).mean(dim=0)


@torch.no_grad()
@pytest.mark.parametrize("end", [FLAT, POOLED_TO_ITS_SIZE, TWO_PATHS])
def test_the_network_on_every_window(planned: Planned, end: str) -> None:
    net = made(planned, STRIDED + end)
    images = torch.randn(3, 3, 22, 26)
    expected = slid(net, images, step=4)
    found = Dense(net, in_shape=SHAPE)(images)
    assert (found - expected).abs().max() < 1e-5
    assert expected.std() > 0.01


@torch.no_grad()
def test_it_is_the_convolution_of_the_paper(planned: Planned) -> None:
    """Simonyan and Zisserman 2015, section 3.2: the first layer k x k, the others 1 x 1."""
    net = made(
        planned, STRIDED + "  - flatten\n  - linear: {out: 7}\n  - relu\n  - linear: {out: 5}"
    )
    images = torch.randn(2, 3, 30, 23)
    maps = F.relu(F.conv2d(images, net.conv1.weight, net.conv1.bias, stride=2))
    maps = F.max_pool2d(net.local_response_norm1(maps), 2)
    maps = F.relu(F.conv2d(maps, net.linear1.weight.view(7, 4, 3, 3), net.linear1.bias))
    maps = F.conv2d(maps, net.linear2.weight[:, :, None, None], net.linear2.bias)
    assert maps.shape[2:] == (5, 3)
    assert (Dense(net, in_shape=SHAPE)(images) - maps.mean(dim=(2, 3))).abs().max() < 1e-5


@torch.no_grad()
def test_at_its_own_size_it_is_the_network_and_leaves_it_alone(planned: Planned) -> None:
    net = made(planned, STRIDED + POOLED_TO_ITS_SIZE)
    images = torch.randn(3, *SHAPE)
    expected, before = net(images), {k: v.clone() for k, v in net.state_dict().items()}
    dense = Dense(net, in_shape=SHAPE)
    assert torch.equal(dense(images), expected)
    dense(torch.randn(1, 3, 30, 30))
    assert torch.equal(net(images), expected)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    ours = {parameter.data_ptr() for parameter in net.parameters()}
    assert {parameter.data_ptr() for parameter in dense.parameters()} == ours


@torch.no_grad()
def test_a_network_that_ends_in_global_pooling_is_dense_by_itself(planned: Planned) -> None:
    net = made(planned, STRIDED + "  - global_avg_pool\n  - linear: {out: 5}")
    images = torch.randn(2, 3, 30, 26)
    assert torch.equal(Dense(net, in_shape=SHAPE)(images), net(images))
    net = made(
        planned, STRIDED + "  - adaptive_avg_pool: {out: 1}\n  - flatten\n  - linear: {out: 5}"
    )
    assert torch.equal(Dense(net, in_shape=SHAPE)(images), net(images))


@torch.no_grad()
def test_heads_of_training_are_not_in_the_way(planned: Planned) -> None:
    aux = "aux:\n  - {from: max_pool1, weight: 0.3, layers: [flatten, {linear: {out: 5}}]}"
    net = made(planned, STRIDED + FLAT + aux)
    images = torch.randn(2, 3, 22, 22)
    assert (Dense(net, in_shape=SHAPE)(images) - slid(net, images, step=4)).abs().max() < 1e-5


@pytest.mark.parametrize(
    ("end", "says"),
    [
        (
            "  - local: {out: 4, kernel: 2}\n  - flatten\n  - linear: {out: 5}",
            r"'local1' \(local\) takes no larger maps",
        ),
        (
            "  - adaptive_avg_pool: {out: 2}\n  - flatten\n  - linear: {out: 5}",
            r"'adaptive_avg_pool1' \(adaptive_avg_pool\) makes 2 x 2 maps of 3 x 3 ones",
        ),
        (
            "  - branches: {paths: {one: [flatten], two: [global_avg_pool]}}\n  - linear: {out: 5}",
            r"'branches1' \(branches\) takes no larger maps",
        ),
    ],
)
def test_what_cannot_be_slid_is_told_by_name(planned: Planned, end: str, says: str) -> None:
    net = made(planned, STRIDED + end)
    with pytest.raises(UsageError, match=f"cannot be evaluated densely: {says}"):
        Dense(net, in_shape=SHAPE)
    assert net(torch.randn(2, *SHAPE)).shape == (2, 5)  # and nothing of it stays behind
