"""`cnntrain.build`: networks by name, from files, texts and mappings."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from torch import nn

import cnntrain
from cnntrain.config import shipped
from cnntrain.core.errors import ConfigError, UsageError

LAYERS = {"layers": ["flatten", {"linear": {"out": "$num_classes"}}]}


def test_a_shipped_architecture_by_its_name() -> None:
    net = cnntrain.build("resnet20")
    assert net.plan is not None
    # He et al. 2016, table 6: 0.27 million
    counted = sum(parameter.numel() for parameter in net.parameters())
    assert counted == net.plan.parameters
    assert round(counted / 1e6, 2) == 0.27
    assert net(torch.zeros(2, 3, 32, 32)).shape == (2, 10)
    assert isinstance(copy.deepcopy(net), nn.Module)


def test_the_images_and_classes_can_be_others() -> None:
    net = cnntrain.build(LAYERS, num_classes=7, image_channels=1, image_size=(4, 5))
    assert net(torch.zeros(3, 1, 4, 5)).shape == (3, 7)


def test_a_text_a_mapping_and_a_file_are_the_same(tmp_path: Path) -> None:
    text = "layers:\n  - flatten\n  - linear: {out: $num_classes}\n"
    (tmp_path / "own.yaml").write_text(text)
    sources = (text, LAYERS, tmp_path / "own.yaml", str(tmp_path / "own.yaml"))
    first, *others = (cnntrain.build(each, image_size=8) for each in sources)
    for other in others:
        for ours, theirs in zip(first.parameters(), other.parameters(), strict=True):
            assert torch.equal(ours, theirs)


def test_weights_depend_on_the_seed_alone() -> None:
    torch.manual_seed(5)
    first = cnntrain.build(LAYERS, image_size=8, seed=1)
    drawn = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(3), drawn)  # building has drawn nothing
    again, other = (cnntrain.build(LAYERS, image_size=8, seed=seed) for seed in (1, 2))
    ours, same, different = (next(net.parameters()) for net in (first, again, other))
    assert torch.equal(ours, same)
    assert not torch.equal(ours, different)


def test_a_run_file_has_its_own_images() -> None:
    digits = (shipped.folder() or Path()) / "digits.yaml"
    net = cnntrain.build(digits)
    assert net.in_shape == (1, 8, 8)
    with pytest.raises(UsageError, match="are those of its `data`; leave them out"):
        cnntrain.build(digits, num_classes=3)


def test_variables() -> None:
    narrow, wide = (cnntrain.build("starter", vars={"width": width}) for width in (8, 16))
    assert next(wide.parameters()).shape[0] == 2 * next(narrow.parameters()).shape[0]


@pytest.mark.parametrize(
    ("network", "kind", "message"),
    [
        ("resent20", UsageError, "there is no network 'resent20'; did you mean 'resnet20'"),
        (
            {"layers": ["flatten", {"linaer": {"out": 3}}]},
            ConfigError,
            "<mapping>:3:3: unknown layer or block 'linaer'; did you mean 'linear'?",
        ),
        ("layers:\n  - rleu\n", ConfigError, "<text>:2:5: unknown layer or block 'rleu'"),
        ({"layers": [{"conv": {"out": object()}}]}, UsageError, "layers[0].conv.out is a object"),
    ],
)
def test_what_is_wrong_is_told_at_its_place(network, kind, message) -> None:
    with pytest.raises(kind) as caught:
        cnntrain.build(network)
    assert str(caught.value).startswith(message)
