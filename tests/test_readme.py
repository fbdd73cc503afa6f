"""The README's examples are files that work."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cnntrain.config.load import load
from cnntrain.core.errors import ConfigError
from cnntrain.fit.fit import fit

README = Path(__file__).parent.parent / "README.md"
PLUGINS = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", README.read_text("utf-8"), re.DOTALL)

RUN_FILE = """
plugins: [swish.py, squares.py, negative.py]
arch:
  layers: [{conv: {out: 4}}, {swish: {slope: 2.0}}, global_avg_pool, {linear: {out: $num_classes}}]
data:
  name: squares
  images: 96
  validation: 32
  transforms: {train: [{negative: {p: 0.0}}, normalize]}
train: {epochs: 8, optimizer: {name: adam, lr: 0.02}}
"""


@pytest.fixture
def here(own_place: None) -> Path:
    assert [name for name, _ in PLUGINS] == ["swish.py", "squares.py", "negative.py"]
    for name, text in PLUGINS:
        Path(name).write_text(text)
    return Path()


def test_the_plugins_train(here: Path) -> None:
    (here / "run.yaml").write_text(RUN_FILE)
    outcome = fit(load(here / "run.yaml"), quiet=True)
    assert outcome.done is not None
    assert outcome.done.best_value is not None
    assert outcome.done.best_value < 0.1


@pytest.mark.parametrize(
    ("file", "before", "after", "message"),
    [
        (
            "squares.py",
            'return Splits(classes=("dark", "light"), train=Pixels(pixels, targets))',
            "return pixels, targets",
            ": the data set 'squares' returned a tuple, not Splits; return",
        ),
        (
            "negative.py",
            "    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:",
            "    def size(self, size: tuple[int, int]) -> tuple[int, int]:",
            ": the transform 'negative' is a Negative that cannot be applied; make",
        ),
        (
            "swish.py",
            "def __init__(self, *, in_channels",
            "def __init__(self, in_channels",
            ": 'swish' has the parameter 'in_channels', which is not a keyword of its own",
        ),
    ],
)
def test_what_a_plugin_does_wrong_is_told_at_its_line(
    here: Path, file: str, before: str, after: str, message: str
) -> None:
    text = Path(file).read_text()
    assert before in text
    Path(file).write_text(text.replace(before, after))
    (here / "run.yaml").write_text(RUN_FILE)
    with pytest.raises(ConfigError) as caught:
        fit(load(here / "run.yaml"), quiet=True)
    assert re.search(file + r":\d+:\d+" + re.escape(message), str(caught.value))
