"""The networks of the peers, written by hand in plain PyTorch, with the shapes of ours."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional


def lenet5(*, colours: int = 1) -> nn.Module:
    """As configs/archs/lenet5.yaml: for 28 x 28 grey images, or for 32 x 32 with three colours."""
    maps = 16 * 5 * 5 if colours == 1 else 16 * 6 * 6
    return nn.Sequential(
        nn.Conv2d(colours, 6, 5, padding=2),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Conv2d(6, 16, 5),
        nn.MaxPool2d(2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(maps, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def lenet300() -> nn.Module:
    """As configs/archs/lenet300.yaml."""
    hidden = [nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU()]
    return nn.Sequential(nn.Flatten(), *hidden, nn.Linear(100, 10))


class Block(nn.Module):
    """Two convolutions and the way around them, with zeros for maps that are not there yet."""

    def __init__(self, maps: int, out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(maps, out, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(out)
        self.conv2 = nn.Conv2d(out, out, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(out)
        self.stride, self.more = stride, out - maps

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)), inplace=True)
        y = self.norm2(self.conv2(y))
        if self.more:
            x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return functional.relu(y + x, inplace=True)


def resnet20() -> nn.Module:
    """As configs/archs/resnet20.yaml."""
    layers: list[nn.Module] = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    maps = 16
    for out in (16, 32, 64):
        for number in range(3):
            layers.append(Block(maps, out, 2 if number == 0 and out != maps else 1))
            maps = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))
