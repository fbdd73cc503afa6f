"""The examples of README and of docs/plugins.md are files that work; links lead somewhere."""

from __future__ import annotations

import math
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import torch
import typer.main

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.cli.commands import EXIT_CODES, app
from cnntrain.config.load import load
from cnntrain.core.choices import CHOICES, PICTURES
from cnntrain.core.errors import ConfigError
from cnntrain.diagnose.diagnose import examine
from cnntrain.fit.fit import fit
from cnntrain.model.opening import open_model

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
OWN = (ROOT / "docs" / "plugins.md").read_text("utf-8")
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
PLUGINS = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", README + OWN, re.DOTALL))

RUN_FILE = """
plugins: [PLUGINS]
arch:
  layers:
    - conv: {out: 4}
    - swish: {slope: 2.0}
    - relu_cubed: {factor: 0.8}
    - global_avg_pool
    - linear: {out: $num_classes}
data:
  name: squares
  images: 96
  split: {validation: 32}
  transforms: {train: [{negative: {p: 0.0}}, normalize]}
train:
  epochs: 8
  optimizer: {name: adagrad, lr: 0.1, epsilon: 1e-8}
  schedule: {name: triangle, epochs: 4, floor: 0.2}
  loss: {name: mean_absolute}
  penalties: [decorrelated: {layers: [global_avg_pool1]}]
record: {observers: [weight_norm: {layer: conv1}]}
""".replace("PLUGINS", ", ".join(PLUGINS))


@pytest.fixture
def here(own_place: None) -> Path:
    assert list(PLUGINS) == [
        *("relu_cubed.py", "swish.py", "squares.py", "negative.py"),
        *("adagrad.py", "triangle.py", "mean_absolute.py", "decorrelated.py"),
        *("ordinal.py", "weight_norm.py"),
        *("weights.py", "contrast.py"),
    ]
    for name, text in PLUGINS.items():
        Path(name).write_text(text)
    return Path()


def test_the_plugins_train_and_draw(here: Path) -> None:
    (here / "run.yaml").write_text(RUN_FILE)
    outcome = fit(load(here / "run.yaml"), quiet=True)
    assert outcome.done is not None
    assert outcome.done.best_value is not None
    assert outcome.done.best_value < 0.1
    norms = (outcome.run.path / "norms.txt").read_text().splitlines()
    assert [line.split()[0] for line in norms] == [f"{epoch}" for epoch in range(1, 9)]
    last = load_checkpoint(outcome.run.last)["model"]["conv1.weight"]
    assert float(norms[-1].split()[1]) == pytest.approx(float(last.square().sum().sqrt()))
    weights = PICTURES.load("weights")
    drawn = weights(model=open_model(outcome.run.path), layer="conv1", bins=20)
    assert drawn.facts == {"layer": "conv1", "weights": 4 * 9}
    assert len(drawn.figure.axes[0].patches) == 20


def test_the_check_finds_faint_images(here: Path) -> None:
    (here / "run.yaml").write_text(RUN_FILE)
    plain = {"data.transforms.train": [], "data.transforms.eval": []}
    diagnosis = examine(here / "run.yaml", checks=["contrast"], overrides=plain)
    assert [finding.fault for finding in diagnosis.findings] == ["faint"]
    # pixels are equally often each of 100 neighbouring numbers of 255
    expected = math.sqrt((100**2 - 1) / 12) / 255
    assert diagnosis.reports[0].numbers["deviation"] == pytest.approx(expected, rel=0.02)
    assert not examine(here / "run.yaml", checks=["contrast"]).findings


def test_the_triangle_and_the_loss_by_hand(here: Path) -> None:
    names: dict[str, Any] = {}
    for file in ("triangle.py", "mean_absolute.py"):
        exec(compile(Path(file).read_text(), file, "exec"), names)
    factor = names["triangle"](epochs=2.0, floor=0.2, steps_per_epoch=10)
    assert [factor(step) for step in (0, 5, 10, 15, 20)] == pytest.approx([0.2, 0.6, 1, 0.6, 0.2])
    # two equal logits: p = 1/2
    loss = names["mean_absolute"]()(torch.zeros(3, 2), torch.tensor([0, 1, 1]))
    assert float(loss) == pytest.approx(0.5)


def test_adagrad_is_torchs(here: Path) -> None:
    names: dict[str, Any] = {}
    exec(compile(Path("adagrad.py").read_text(), "adagrad.py", "exec"), names)
    ours, theirs = (torch.nn.Parameter(torch.linspace(-1, 1, 5)) for _ in range(2))
    group = {"params": [ours], "lr": 0.1, "weight_decay": 0.2}
    pair = [(names["Adagrad"](groups=[group]), ours)]
    pair += [(torch.optim.Adagrad([theirs], lr=0.1, weight_decay=0.2), theirs)]
    for optimizer, parameter in pair:
        for step in range(3):
            parameter.grad = (parameter.detach() - step) ** 2
            optimizer.step()
    torch.testing.assert_close(ours, theirs)


def test_the_exit_codes_are_those_of_the_help() -> None:
    assert EXIT_CODES in " ".join(README.split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text("utf-8")
    for link in [*re.findall(r"\]\(([^)#]+)\)", text), *re.findall(r'src="([^"]+)"', text)]:
        assert link.startswith(("http://", "https://")) or (page.parent / link).exists(), link


def test_the_files_and_commands_that_it_names_are_there() -> None:
    for file in re.findall(r"\bconfigs/[\w/]+\.yaml", README):
        assert (ROOT / file).is_file(), file
    length = len((ROOT / "configs/archs/resnet20.yaml").read_text("utf-8").splitlines())
    assert f"`resnet20.yaml` is {length} lines" in README
    commands = set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]
    named = " ".join(row.split("|")[1] for row in _rows("## The commands"))
    assert commands - set(re.findall(r"\w+", named)) == set()
    words = set(re.findall(r"\w+", " ".join(_rows("## The commands"))))
    assert {*PICTURES.names(), *CHOICES} <= words


COMMANDS = re.findall(r"(?:^|`)(cnntrain [a-z]+ [^`\n]*)", README, re.MULTILINE)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_understood(command: str) -> None:
    words = shlex.split(command, comments=True)[1:]
    program: Any = typer.main.get_command(app)
    while hasattr(program, "commands"):
        name = words.pop(0)
        program = program.get_command(typer.Context(program), name)
        assert program is not None, name
    program.make_context(program.name, words)


def _rows(heading: str) -> list[str]:
    """Those of the table below a heading."""
    part = README.partition(heading)[2].partition("\n## ")[0]
    return [line for line in part.splitlines() if line.startswith("|")]


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
