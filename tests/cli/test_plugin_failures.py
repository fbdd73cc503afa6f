"""An exception in a plugin's code is the plugin's: its file, its line, and no traceback."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

IMPORTS = """
import torch
from torch import nn

from cnntrain.data import dataset, transform
from cnntrain.diagnose import check
from cnntrain.explain import picture
from cnntrain.layers import layer
from cnntrain.optim import optimizer, schedule
from cnntrain.record import observer
from cnntrain.tasks import loss
"""
LAYER = """
@layer("mine")
class Mine(nn.Module):
    def forward(self, x):
        return x if x.device.type == "meta" else x * (1 / 0)
"""
MADE = """
@layer("mine")
class Mine(nn.Module):
    def __init__(self):
        super().__init__()
        on_paper = torch.empty(0).device.type == "meta"
        self.scale = 1 if on_paper else 1 / 0

    def forward(self, x):
        return x
"""
LOSS = """
@loss("mine", applies="softmax")
class Mine:
    def __call__(self, outputs, targets):
        return outputs.sum() / (1 / 0)

    def weight(self, targets):
        return float(len(targets))

    def plain(self, *, weighted=False):
        return self
"""
SCHEDULE = """
@schedule("mine")
def mine():
    def factor(done):
        return 1 / 0
    return factor
"""
OPTIMIZER = """
from cnntrain.optim.guarded import GuardedOptimizer

@optimizer("mine")
class Mine(GuardedOptimizer):
    def __init__(self, *, groups):
        super().__init__(groups, {})

    def start(self, parameter, group):
        return {"halves": parameter / (1 / 0)}
"""
TRANSFORM = """
@transform("mine", before_normalize=True, by_image=%s)
class Mine:
    def output_size(self, size):
        return size

    def __call__(self, images, generator):
        return images if len(images) == 2 else images * (1 / 0)  # two are tried first
"""
DATASET = """
@dataset("mine", classes=2, channels=1, size=8)
def mine():
    return 1 / 0
"""
OBSERVER = """
@observer("mine")
class Mine:
    def observe(self, event):
        1 / 0

    def close(self):
        pass
"""
CHECK = """
@check("mine", place=1.5)
def mine(*, small_batch):
    return 1 / 0
"""
PICTURE = """
@picture("mine")
def mine(*, model):
    return 1 / 0
"""
NET = [{"conv": {"out": 2}}, "mine", "flatten", {"linear": {"out": "$num_classes"}}]
STREAMED = {"train": ["mine", "normalize"], "eval": ["normalize"]}
SIZED = {key: [{"resize": {"size": [8, 8]}}, *steps] for key, steps in STREAMED.items()}
FOLDERS = {
    "name": "image_folder",
    "root": "images",
    "batch_size": 4,
    "memory": "stream",
    "transforms": SIZED,
}
PLACES: dict[str, tuple[str, dict[str, Any]]] = {
    "a layer's forward": (LAYER, {"arch": {"layers": NET}}),
    "a layer's constructor": (MADE, {"arch": {"layers": NET}}),
    "a loss": (LOSS, {"train.loss": {"name": "mine"}}),
    "a schedule": (SCHEDULE, {"train.schedule": {"name": "mine"}}),
    "an optimizer": (OPTIMIZER, {"train.optimizer": {"name": "mine", "lr": 0.1}}),
    "a transform": (TRANSFORM % False, {"data.transforms": STREAMED}),
    "a transform, without workers": (
        TRANSFORM % True,
        {"data": {**FOLDERS, "workers": 0}},
    ),
    "a transform in a worker": (
        TRANSFORM % True,
        {"data": {**FOLDERS, "workers": 1}},
    ),
    "a data set": (DATASET, {"data": {"name": "mine"}}),
    "an observer": (OBSERVER, {"record.observers": ["mine"]}),
}


@pytest.fixture(autouse=True)
def _images() -> None:
    for split in ("train", "test"):
        for name in ("a", "b"):
            (folder := Path("images") / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = torch.randint(0, 256, (8, 8, 3), dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(folder / f"{number}.png")


def failing(run_file: RunFile, code: str, changes: dict[str, Any]) -> Path:
    """A run file with a plugin."""
    Path("plugin.py").write_text(IMPORTS + code)
    return run_file({"plugins": ["plugin.py"], "train.epochs": 1, **changes})


def line_in(text: str) -> int:
    """The line of the plugin that raises."""
    [line] = [n for n, line in enumerate(text.splitlines(), 1) if "1 / 0" in line]
    return line


@pytest.mark.parametrize("name", PLACES)
def test_training(
    cnntrain: Cnntrain, run_file: RunFile, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = failing(run_file, *PLACES[name])
    answer = cnntrain("fit", file, "-q", "--out", "run")
    says_what_failed(answer)
    monkeypatch.setenv("CNNTRAIN_DEBUG", "1")
    shown = cnntrain("fit", file, "-q", "--out", "run")
    assert "Traceback" in shown.err


def says_what_failed(answer: Any) -> None:
    file = Path("plugin.py")
    line = line_in(file.read_text())
    assert answer.code == 2, answer.err
    start = rf"^{re.escape(str(file.resolve()))}:{line}:\d+: the plugin failed: "
    assert re.search(start + "ZeroDivisionError: (float )?division by zero; ", answer.err, re.M)
    assert "Traceback" not in answer.err
    assert "internal error" not in answer.err
    assert len(answer.err.splitlines()) == 3, "the message, the line and a mark below it"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (PICTURE, "visualize mine run --plugin plugin.py"),
        (CHECK, "diagnose tiny.yaml --check mine"),
        (LAYER, "eval run"),
        (LAYER, "predict run images/test/a/0.png"),
    ],
    ids=["a picture", "a check", "a layer in eval", "a layer in predict"],
)
def test_other_commands(cnntrain: Cnntrain, run_file: RunFile, code: str, words: str) -> None:
    is_layer = code == LAYER
    file = failing(run_file, code, {"arch": {"layers": NET}} if is_layer else {})
    if "run" in words.split():
        sound = code.replace(" * (1 / 0)", "") if is_layer else code
        Path("plugin.py").write_text(IMPORTS + sound)
        assert cnntrain("fit", file, "-q", "--out", "run").code == 0
        Path("plugin.py").write_text(IMPORTS + code)
    extra = ["--plugin", "plugin.py"] if is_layer else []
    answer = cnntrain(*words.split(), *extra)
    lines = [line for line in answer.err.splitlines() if not line.startswith("note: ")]
    says_what_failed(type(answer)(answer.code, answer.out, "\n".join(lines)))


def test_importing(cnntrain: Cnntrain, run_file: RunFile) -> None:
    code = LAYER.replace("* (1 / 0)", "") + "\nLIMIT = 1 / 0\n"
    answer = cnntrain("check", failing(run_file, code, {"arch": {"layers": NET}}))
    assert answer.code == 2
    plugin = Path("plugin.py").resolve()
    line = line_in(plugin.read_text())
    assert f"{plugin}:{line}:1: importing the plugin {plugin} failed: Zero" in answer.err
    assert "    LIMIT = 1 / 0\n    ^" in answer.err


def test_what_planning_meets_is_at_the_line_of_the_architecture(
    cnntrain: Cnntrain, run_file: RunFile
) -> None:
    code = LAYER.replace(' if x.device.type == "meta" else x * (1 / 0)', " * (1 / 0)")
    file = failing(run_file, code, {"arch": {"layers": NET}})
    answer = cnntrain("check", file)
    assert answer.code == 2
    line = line_in(Path("plugin.py").read_text())
    assert re.search(
        rf"tiny\.yaml:\d+:\d+: 'mine1' \(mine\) .*; see .*plugin\.py:{line}\n", answer.err
    )


def test_a_value_that_is_refused_names_the_line_too(cnntrain: Cnntrain, run_file: RunFile) -> None:
    code = DATASET.replace("return 1 / 0", 'raise ValueError("no stripes")  # not 1 / 0')
    answer = cnntrain("fit", failing(run_file, code, {"data": {"name": "mine"}}))
    assert answer.code == 2
    line = line_in(Path("plugin.py").read_text())
    assert re.search(rf"tiny\.yaml:\d+:\d+: no stripes; see .*plugin\.py:{line}\n", answer.err)


def test_a_file_that_a_plugin_does_not_find(cnntrain: Cnntrain, run_file: RunFile) -> None:
    code = DATASET.replace("return 1 / 0", 'return open("none.npy")  # 1 / 0')
    answer = cnntrain("fit", failing(run_file, code, {"data": {"name": "mine"}}))
    assert answer.code == 2
    assert "the plugin failed: FileNotFoundError: " in answer.err
    assert f"plugin.py:{line_in(Path('plugin.py').read_text())}:" in answer.err
