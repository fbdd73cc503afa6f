"""Networks for CIFAR that torchvision does not have, against torch's modules in a row.

The modules are written down from the papers' tables; our weights are put into them in order.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from cnntrain.arch.plan import Plan
from cnntrain.assemble.networks import make_network

Arch = Callable[[str], Plan]


class Plus(nn.Module):
    """x + body(x)."""

    def __init__(self, *body: nn.Module) -> None:
        super().__init__()
        self.body = nn.Sequential(*body)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = x + self.body(x)
        return result


def conv(
    before: int, out: int, kernel: int = 3, *, stride: int = 1, padding: int = 1
) -> list[nn.Module]:
    return [nn.Conv2d(before, out, kernel, stride, padding), nn.ReLU()]


def unit(before: int, out: int) -> list[nn.Module]:
    return [nn.Conv2d(before, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]


def all_cnn_c() -> nn.Sequential:
    return nn.Sequential(
        *[*conv(3, 96), *conv(96, 96), *conv(96, 96, stride=2)],
        *[*conv(96, 192), *conv(192, 192), *conv(192, 192, stride=2)],
        *[*conv(192, 192, padding=0), *conv(192, 192, 1, padding=0), *conv(192, 10, 1, padding=0)],
        *[nn.AvgPool2d(6), nn.Flatten()],
    )


def network_in_network() -> nn.Sequential:
    def mlpconv(before: int, kernel: int, *outs: int) -> list[nn.Module]:
        layers = conv(before, outs[0], kernel, padding=kernel // 2)
        for i in range(1, len(outs)):
            layers += conv(outs[i - 1], outs[i], 1, padding=0)
        return layers

    return nn.Sequential(
        *[*mlpconv(3, 5, 192, 160, 96), nn.MaxPool2d(3, 2, ceil_mode=True)],
        *[*mlpconv(96, 5, 192, 192, 192), nn.AvgPool2d(3, 2, ceil_mode=True)],
        *[*mlpconv(192, 3, 192, 192, 10), nn.AvgPool2d(8), nn.Flatten()],
    )


def resnet9() -> nn.Sequential:
    return nn.Sequential(
        *[*unit(3, 64), *unit(64, 128), nn.MaxPool2d(2), Plus(*unit(128, 128), *unit(128, 128))],
        *[*unit(128, 256), nn.MaxPool2d(2), *unit(256, 512), nn.MaxPool2d(2)],
        *[Plus(*unit(512, 512), *unit(512, 512)), nn.MaxPool2d(4), nn.Flatten()],
        nn.Linear(512, 10, bias=False),
    )


@pytest.mark.parametrize("make", [all_cnn_c, network_in_network, resnet9])
def test_the_same_logits(make: Callable[[], nn.Sequential], arch: Arch) -> None:
    net, theirs = make_network(arch(make.__name__), seed=0).eval(), make().eval()
    ours = list(net.state_dict().values())
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours, strict=True)))
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs(images)
        assert expected.std() > 1e-6
        torch.testing.assert_close(net(images), expected)


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("all_cnn_c", 1_369_738),
        ("network_in_network", 966_986),
        ("resnet9", 6_573_120),
        ("wide_resnet28_10", 36_479_194),
    ],
)
def test_counts_of_other_implementations(name: str, parameters: int, arch: Arch) -> None:
    assert arch(name).parameters == parameters
