"""`evaluation`: what makes an answer depend on more than the image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cnntrain.data.batch import Batch
from cnntrain.diagnose.checks.evaluation import check_evaluation

Make = Callable[..., Any]


class AlwaysDropout(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.dropout(x, 0.5)


@pytest.mark.parametrize(
    ("layers", "fault"),
    [
        ({}, None),
        ({"norm1": nn.BatchNorm2d(6, track_running_stats=False)}, "eval_mode_batch_norm"),
        ({"norm1": nn.GroupNorm(2, 6)}, None),
        ({"act2": AlwaysDropout()}, "random_evaluation"),
        ({"act2": nn.Dropout(0.9)}, None),
    ],
)
def test_evaluation(
    convnet: Make, many: Batch, layers: dict[str, nn.Module], fault: str | None
) -> None:
    net = convnet(**layers)
    state = torch.get_rng_state()
    report = check_evaluation(trained=net, small_batch=many)
    assert [finding.fault for finding in report.findings] == ([fault] if fault else [])
    assert torch.equal(state, torch.get_rng_state())
    assert net.training


class Centred(nn.Module):
    """Takes off the mean of the batch, before a layer of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(16, 16)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.inner(x - x.mean(dim=0))
        return result


@pytest.mark.parametrize(
    ("layers", "named", "remedy"),
    [
        ({"act2": AlwaysDropout()}, "'act2' (AlwaysDropout)", "'act2' (AlwaysDropout) must ask"),
        ({"act2": Centred()}, "'act2' (Centred)", "compute each image by itself"),
        (
            {"norm1": nn.BatchNorm2d(6, track_running_stats=False)},
            "'norm1' (BatchNorm2d)",
            "running",
        ),
    ],
)
def test_the_layer_that_is_to_blame_is_named(
    convnet: Make, many: Batch, layers: dict[str, nn.Module], named: str, remedy: str
) -> None:
    (found,) = check_evaluation(trained=convnet(**layers), small_batch=many).findings
    assert f"{named} is the first layer" in found.evidence
    assert remedy in found.remedy
    assert found.layers == tuple(layers)


def test_a_network_that_mixes_them_itself_has_no_such_layer(many: Batch) -> None:
    class Mixing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return (x - x.mean(dim=0)).flatten(1)

    (found,) = check_evaluation(trained=Mixing(), small_batch=many).findings
    assert found.remedy.startswith("the network must compute each image by itself")
    assert "''" not in found.headline + found.evidence


def test_too_few_images(convnet: Make, many: Batch) -> None:
    few = Batch(many.images[:2], many.targets[:2])
    assert check_evaluation(trained=convnet(), small_batch=few).verdict == "not applicable"
