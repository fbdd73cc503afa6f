"""Weights that others trained score in our network what their owner says, through one run file.

ResNet-20 of github.com/akamaster/pytorch_resnet_cifar10: 8.27 % error on CIFAR-10's test set.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from cnntrain.assemble.prepare import prepare
from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.model.opening import open_model

WEIGHTS = "weights/resnet20-cifar10-12fca82f.th"


@pytest.fixture
def found(real_data: Path) -> list[str]:
    """The overrides that say where weights and images are."""
    if not (real_data / WEIGHTS).exists():
        pytest.skip(f"{WEIGHTS} is not in CNNTRAIN_DATA")
    return [f"finetune.weights.file={real_data / WEIGHTS}", f"data.root={real_data / 'cifar10'}"]


def test_the_score_on_cifar10(found: Sequence[str]) -> None:
    file = shipped.resolve("resnet20_pretrained.yaml")
    metrics = open_model(file, overrides=found).evaluate("test").metrics
    assert (metrics.correct, metrics.images) == (9173, 10_000)


def test_two_classes_of_ones_own(found: Sequence[str], real_data: Path) -> None:
    """Bees and ants: all but the last layer is taken over, and that is made anew."""
    file = shipped.resolve("finetune_cifar.yaml")
    images = f"data.root={real_data / 'hymenoptera'}"
    prepared = prepare(load(file, [found[0], images]))
    assert prepared.start is not None
    assert prepared.start.new == ("output.weight", "output.bias")
    assert prepared.start.skipped == {"output.weight": (10, 64), "output.bias": (10,)}
    assert (prepared.start.missing, prepared.start.left_over) == ((), ())
    # 19 convolutions, 19 batch normalisations of 4 tensors (the file is older than their counter)
    assert len(prepared.start.loaded) == 19 + 19 * 4
    assert prepared.data.classes == ("ants", "bees")
