"""A network that is not finite, through every command that uses one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnntrain.checkpoint import load, save

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

COMMANDS = [
    ("eval", "RUN", "--json"),
    ("eval", "RUN", "RUN", "--json"),
    ("predict", "RUN", "a.png", "--json"),
    ("features", "RUN", "--force"),
    ("export", "RUN", "--to", "safetensors"),
    ("recalibrate", "RUN"),
    ("probe", "RUN", "--force"),
    ("retrieve", "RUN", "a.png", "--force"),
    ("visualize", "confusion", "RUN", "--force"),
    ("visualize", "maps", "RUN", "--layer", "conv1", "--image", "0", "--force"),
    ("visualize", "occlusion", "RUN", "--image", "0", "--force"),
    ("visualize", "embedding", "RUN", "--force"),
]


@pytest.fixture
def spoiled(train_tiny: Callable[..., Any], run_file: RunFile) -> Callable[..., Path]:
    """A run whose best.pt has one value in place of the numbers of one tensor."""

    def make(value: float, tensor: str = "output.weight") -> Path:
        run = train_tiny(run_file({"train.epochs": 1}), out=Path("spoiled")).run
        state = load(run.best)
        state["model"][tensor].fill_(value)
        save(run.best, state)
        pixels = np.random.default_rng(0).integers(0, 255, (8, 8), dtype=np.uint8)
        Image.fromarray(pixels).save("a.png")
        return run.path

    return make


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (float("nan"), "the weights of layer 'output' of spoiled/checkpoints/best.pt are not fini"),
        (3e38, "the output of layer 'output' (Linear) is not finite on some of the"),
    ],
)
def test_weights_and_outputs(
    cnntrain: Cnntrain, spoiled: Callable, value: float, said: str
) -> None:
    run = spoiled(value)
    for words in COMMANDS:
        answer = cnntrain(*(str(run) if word == "RUN" else word for word in words))
        assert (answer.code, answer.out) == (5, ""), (words, answer)
        assert said in answer.err, (words, answer.err)
        assert "; `cnntrain diagnose RUN` looks for the cause" in answer.err
    assert not list(Path().glob("*.safetensors"))
    answer = cnntrain("diagnose", run, "--check", "evaluation", "--json")
    assert answer.code == 0
    [finding] = json.loads(answer.out)["findings"]
    assert finding["fault"] == "not_finite"
    assert "layer 'output'" in finding["headline"]


def test_a_statistic(cnntrain: Cnntrain, spoiled: Callable) -> None:
    answer = cnntrain("eval", spoiled(float("inf"), "batch_norm1.running_var"))
    assert answer.code == 5
    assert "layer 'batch_norm1' of " in answer.err
    assert "(batch_norm1.running_var)" in answer.err


def test_fit_ends_with_5_and_keeps_nothing_of_it(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file(
        {
            "train.epochs": 1,
            "train.optimizer": {"name": "adamw", "lr": 1e20},
            "data.batch_size": 72,
            "arch.layers": ["flatten", {"linear": {"out": 8}}, {"linear": {"out": "$num_classes"}}],
        }
    )
    answer = cnntrain("fit", file, "--out", "run")
    assert answer.code == 5
    assert "(Linear) is not finite on some of the validation images" in answer.err
    assert "(best)" not in answer.err
    assert not Path("run/checkpoints/best.pt").exists()


TRANSFORM = '''
from torch import Tensor, Generator, inf
from cnntrain.data import transform


@transform("spoil")
class Spoil:
    """Makes a pixel of the third image of a batch infinite."""

    def __init__(self) -> None: ...

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        spoiled = images.clone()
        spoiled[2:3, 0, 0, 0] = inf
        return spoiled

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        return size
'''


@pytest.mark.parametrize("split", ["train", "eval"])
def test_images_are_named_where_they_are_the_cause(
    cnntrain: Cnntrain, run_file: RunFile, tmp_path: Path, split: str
) -> None:
    (tmp_path / "spoil.py").write_text(TRANSFORM)
    steps = {f"data.transforms.{split}": ["normalize", "spoil"]}
    file = run_file({"plugins": ["spoil.py"], "train.epochs": 1, **steps})
    answer = cnntrain("fit", file, "--out", "run")
    assert answer.code == 3
    of_batch = "the input images [2] of the batch hold values that are not finite"
    of_split = "numbers 2 (from 0) of the validation images hold values that are not finite"
    assert (of_batch if split == "train" else of_split) in answer.err
    assert "look at the data and at the transforms: 'cnntrain data check'" in answer.err


def test_a_rollback_is_noted_and_kept(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file({"train.on_divergence": "rollback", "train.optimizer.lr": 1e38,
                     "train.epochs": 1})  # fmt: skip
    answer = cnntrain("fit", file, "--out", "run")
    assert answer.code == 5
    assert answer.err.count("warning: training diverged at step") == 3
    assert "that is after 3 rollbacks" in answer.err
    rows = [json.loads(line) for line in Path("run/metrics.jsonl").read_text().splitlines()]
    factors = [row["rate_factor"] for row in rows if row["type"] == "setback"]
    assert factors == [0.5, 0.25, 0.125]
    steps = [row["step"] for row in rows if row["type"] == "step"]
    assert len(set(steps)) == len(steps)  # what was undone is cut off
    assert "rollback 3 of at most 3" in Path("run/train.log").read_text()
    assert load(Path("run/checkpoints/last.pt"))["train"]["rollbacks"] == 3
