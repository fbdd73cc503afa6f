"""Weights that others trained fit our networks (assemble/transfer/test_pretrained scores them).

ResNet-20 of github.com/akamaster/pytorch_resnet_cifar10.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from cnntrain.arch.build import build
from cnntrain.arch.network import Network
from cnntrain.arch.plan import Plan
from cnntrain.checkpoint.foreign import read_rules, rename

CONFIGS = Path(__file__).parents[2] / "configs"
RESNET20 = CONFIGS / "archs" / "resnet20.yaml"
NAMES = CONFIGS / "weights" / "akamaster_resnet_cifar.yaml"
WEIGHTS = "weights/resnet20-cifar10-12fca82f.th"


@pytest.fixture(scope="module")
def resnet20(real_data: Path, shipped: Callable[[Path], Plan]) -> Network:
    if not (real_data / WEIGHTS).exists():
        pytest.skip(f"{WEIGHTS} is not in CNNTRAIN_DATA")
    saved = torch.load(real_data / WEIGHTS, map_location="cpu", weights_only=True)["state_dict"]
    net = build(shipped(RESNET20))
    theirs = {name.removeprefix("module."): value for name, value in saved.items()}
    net.load_state_dict(rename(theirs, read_rules(NAMES), reverse=True), strict=True)
    return net.eval()


def test_every_name_has_its_counterpart(resnet20: Network) -> None:
    names = list(resnet20.state_dict())
    assert "stage2.basic1.residual1.body.conv_bn2.batch_norm1.running_var" in names
    # 19 convolutions, 19 batch norms of 5 tensors, one linear layer of 2
    assert len(names) == 19 + 19 * 5 + 2
