"""A layer, a data set and a transform of one's own: one file each, one line of YAML, no package."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Cnntrain = Callable[..., Any]

LAYER = '''
"""Swish with a slope of its own."""

import torch
from torch import Tensor, nn

from cnntrain.core.kinds import PositiveFloat
from cnntrain.layers import layer


@layer("my_swish")
class MySwish(nn.Module):
    """x * sigmoid(slope * x), its slope learned (Ramachandran et al. 2017).

    Args:
        slope: at the start.
    """

    def __init__(self, *, slope: PositiveFloat = 1.0) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.slope * x)
'''
DATASET = '''
"""Stripes, upright or lying."""

import torch

from cnntrain.core.kinds import Positive
from cnntrain.data import dataset
from cnntrain.data.splits import Pixels, Splits


@dataset("my_stripes", classes=2, channels=1, size="$size", validation=False)
def my_stripes(*, size: Positive = 8, images: Positive = 40) -> Splits:
    """Upright and lying stripes.

    Args:
        size: height and width.
        images: of them all.
    """
    generator = torch.Generator().manual_seed(0)
    lying = (torch.arange(size) % 2 * 200).to(torch.uint8).expand(size, size)
    targets = torch.arange(images) % 2
    pixels = torch.stack([lying.T if target else lying for target in targets.tolist()])
    noise = torch.randint(0, 50, pixels.shape, generator=generator, dtype=torch.uint8)
    part = Pixels((pixels + noise)[:, None], targets)
    return Splits(("upright", "lying"), part, test=part)
'''
TRANSFORM = '''
"""Black to white."""

import torch
from torch import Tensor

from cnntrain.data import transform


@transform("my_negative", before_normalize=True)
class MyNegative:
    """255 minus each pixel."""

    def __init__(self) -> None: ...

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        return 255 - images

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return size
'''
RUN_FILE = """
plugins: [my_layer.py, my_dataset.py, my_transform.py]
arch:
  layers: [{conv: {out: 2, kernel: 3}}, my_swish, flatten, {linear: {out: $num_classes}}]
data:
  name: my_stripes
  images: 60
  split: {validation: 0.2}
  batch_size: 8
  transforms: {train: [my_negative, normalize], eval: [my_negative, normalize]}
train: {epochs: 2, optimizer: {name: sgd, lr: 0.1}}
record: {tensorboard: false}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's own folder; a plugin's names are registered once in a process."""
    here = tmp_path_factory.mktemp("mine")
    (here / "my_layer.py").write_text(LAYER)
    (here / "my_dataset.py").write_text(DATASET)
    (here / "my_transform.py").write_text(TRANSFORM)
    (here / "mine.yaml").write_text(RUN_FILE)
    return here


def test_from_check_to_predict(
    folder: Path, cnntrain: Cnntrain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = folder / "mine.yaml"
    answer = cnntrain("check", file)
    assert answer.code == 0, answer.err
    answer = cnntrain("fit", file, "--out", "run")
    assert answer.code == 0, answer.err
    summary = cnntrain("summary", "run")
    assert summary.code == 0, summary.err
    assert "my_swish" in summary.out
    logged = json.loads(Path("run/summary.json").read_text())
    found = json.loads(cnntrain("eval", "run", "--json").out)
    assert found["error"] == logged["test"]["error"] == 0
    assert [each["name"] for each in found["classes"]] == ["upright", "lying"]
    assert cnntrain("data", "show", file).code == 0
    assert cnntrain("predict", "run", "images.png").code == 3  # the sheet is not 8 x 8
    resumed = cnntrain("fit", "--resume", "run", "--epochs", "3")
    assert resumed.code == 0, resumed.err


def test_they_are_listed_with_their_parameters(folder: Path, cnntrain: Cnntrain) -> None:
    for what, name, parameter in (
        ("layers", "my_swish", "slope: PositiveFloat (default 1.0): at the start."),
        ("datasets", "my_stripes", "images: Positive (default 40): of them all."),
        ("transforms", "my_negative", "none"),
    ):
        plugin = folder / f"my_{what.removesuffix('s')}.py"
        answer = cnntrain("list", what, name, "--plugin", plugin)
        assert answer.code == 0, answer.err
        assert str(plugin) in answer.out
        assert parameter in answer.out


def test_a_plugin_that_is_gone_is_named(folder: Path, cnntrain: Cnntrain, tmp_path: Path) -> None:
    (tmp_path / "other.yaml").write_text(RUN_FILE)
    answer = cnntrain("check", "other.yaml")
    assert answer.code == 2
    assert "other.yaml:2:11: there is no file 'my_layer.py'" in answer.err
    assert "unknown layer" not in answer.err
