"""Which usual layer takes the place of one of a plugin's, with the same shapes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cnntrain.assemble.prepare import prepare
from cnntrain.config.load import load
from cnntrain.diagnose.substitutes import substitutes_for

RunFile = Callable[..., Any]

PLUGIN = '''
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cnntrain.layers import layer


@layer("own_conv")
class OwnConv(nn.Conv2d):
    """A convolution.

    Args:
        out: maps.
        step: of the window.
    """

    def __init__(self, *, in_channels: int, out: int = 6, step: int = 1) -> None:
        super().__init__(in_channels, out, 3, stride=step, padding="same" if step == 1 else 0)


@layer("own_linear")
class OwnLinear(nn.Linear):
    """A linear layer.

    Args:
        out: units.
    """

    def __init__(self, *, in_features: int, out: int = 5) -> None:
        super().__init__(in_features, out)


@layer("summed")
class Summed(nn.Module):
    """Maps added up."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum((2, 3))


@layer("halved")
class Halved(nn.Module):
    """Every second row and column."""

    def forward(self, x: Tensor) -> Tensor:
        return x[:, :, 1::2, 1::2]


@layer("doubled")
class Doubled(nn.Module):
    """All maps twice."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, x], dim=1)


@layer("bordered")
class Bordered(nn.Module):
    """With white around it."""

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, (2, 2, 2, 2), value=255.0)


@layer("flattened")
class Flattened(nn.Module):
    """In one row."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x.flatten(1))
'''

REST = ["flatten", {"linear": {"out": "$num_classes"}}]


@pytest.mark.parametrize(
    ("layers", "instead"),
    [
        (["own_conv", *REST], "with conv in place of 'own_conv1'"),
        ([{"own_conv": {"step": 2}}, *REST], "with conv in place of 'own_conv1'"),
        (["flatten", "own_linear", "relu", REST[1]], "with linear in place of 'own_linear1'"),
        (["summed", REST[1]], "with global_avg_pool in place of 'summed1'"),
        (["halved", "relu", "halved", *REST], "with max_pool in place of 'halved1', 'halved2'"),
        (["doubled", {"conv": {"out": 20}}, *REST], "without 'doubled1'"),
        (["bordered", {"conv": {"out": 20}}, *REST], "without 'bordered1'"),
        (["flattened", REST[1]], ""),
    ],
)
def test_a_layer_of_a_plugin_gives_way_to_the_usual_one(
    run_file: RunFile, tmp_path: Path, layers: list[Any], instead: str
) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(PLUGIN)
    file = run_file({"arch": {"layers": layers}, "plugins": [str(plugin)]})
    plan = prepare(load(file)).plan
    found = [
        each
        for each in substitutes_for(load(file), plan)
        if each.fault == "harmful_layer" and "of 1 (as usual)" not in each.what
    ]
    own = [each for each in found if each.layers[0].rstrip("1") in PLUGIN]
    assert [each.what for each in own] == ([instead] if instead else [])
    for each in own:
        changed = prepare(load(file, overrides=list(each.overrides))).plan
        assert changed.body.out_shape == plan.body.out_shape
