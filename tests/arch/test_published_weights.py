"""Weights that others trained, in our networks, score what their owner says.

ResNet-20 of github.com/akamaster/pytorch_resnet_cifar10: 8.27 % error on CIFAR-10's test set.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from cnntrain.arch.build import build
from cnntrain.arch.network import Network
from cnntrain.arch.planned import Plan
from cnntrain.checkpoint.foreign import read_rules, rename

CONFIGS = Path(__file__).parents[2] / "configs"
RESNET20 = CONFIGS / "archs" / "resnet20.yaml"
NAMES = CONFIGS / "weights" / "akamaster_resnet_cifar.yaml"
WEIGHTS = "weights/resnet20-cifar10-12fca82f.th"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@pytest.fixture(scope="module")
def resnet20(real_data: Path, shipped: Callable[[Path], Plan]) -> Network:
    if not (real_data / WEIGHTS).exists():
        pytest.skip(f"{WEIGHTS} is not in CNNTRAIN_DATA")
    saved = torch.load(real_data / WEIGHTS, map_location="cpu", weights_only=True)["state_dict"]
    net = build(shipped(RESNET20))
    net.load_state_dict(rename(saved, read_rules(NAMES), reverse=True), strict=True)
    return net.eval()


def test_every_name_has_its_counterpart(resnet20: Network) -> None:
    names = list(resnet20.state_dict())
    assert "stage2.basic1.residual1.body.conv_bn2.batch_norm1.running_var" in names
    # 19 convolutions, 19 batch norms of 5 tensors, one linear layer of 2
    assert len(names) == 19 + 19 * 5 + 2


def read_class(folder: Path) -> Tensor:
    """The images of one class, (N, 3, 32, 32), normalised."""
    files = sorted(folder.glob("*.webp"))
    pixels = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, STD))
    return (images - mean) / std


def test_it_scores_what_its_owner_says(resnet20: Network, real_data: Path) -> None:
    folders = sorted((real_data / "cifar10" / "test").iterdir())
    assert len(folders) == 10
    net = resnet20.to(memory_format=torch.channels_last)
    correct = total = 0
    with ThreadPoolExecutor(2) as readers, torch.no_grad():
        for target, images in enumerate(readers.map(read_class, folders)):
            for batch in images.to(memory_format=torch.channels_last).split(250):
                correct += int((net(batch).argmax(dim=1) == target).sum())
            total += len(images)
    assert (correct, total) == (9173, 10_000)
