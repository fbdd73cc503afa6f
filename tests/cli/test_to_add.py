"""Each kind of choice is added by one file outside of the package and one line of YAML.

The files are those of docs/plugins.md; `pytest -s tests/cli/test_to_add.py` prints the table.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cnntrain.core.choices import CHOICES

Cnntrain = Callable[..., Any]

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text("utf-8")
FILES = dict(re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE, re.DOTALL))

RUN_FILE = """
arch: {layers: [{conv: {out: 4, kernel: 3}}, LAYER, global_avg_pool, {linear: {out: OUT}}]}
data: {DATA, batch_size: 32, transforms: {train: [TRANSFORM], eval: [normalize]}}
train:
  epochs: 1
  optimizer: OPTIMIZER
  schedule: SCHEDULE
  loss: LOSS
  penalties: [PENALTY]
record: {tensorboard: false, observers: [OBSERVER]}
TASK
plugins: [FILE]
"""
USUAL = {
    "OUT": "$num_classes",
    "LAYER": "relu",
    "DATA": "name: synthetic, size: 16, classes: 2, images: 64",
    "TRANSFORM": "normalize",
    "OPTIMIZER": "{name: sgd, lr: 0.1}",
    "SCHEDULE": "{name: constant}",
    "LOSS": "{name: cross_entropy}",
    "PENALTY": "",
    "OBSERVER": "",
    "TASK": "",
}


@dataclass(frozen=True)
class Row:
    """How one kind is added.

    Args:
        file: of docs/plugins.md.
        place: of RUN_FILE, where its line stands.
        line: that line.
        key: one of its words, which is misspelt without its last letter.
        others: what else the run file says differently.
    """

    kind: str
    file: str
    place: str
    line: str
    key: str
    others: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return self.file.removesuffix(".py")

    def run_file(self, line: str) -> str:
        text = RUN_FILE.replace("FILE", self.file)
        for place, words in (USUAL | dict(self.others) | {self.place: line}).items():
            text = text.replace(place, words)
        return text


ROWS = [
    Row("layers", "swish.py", "LAYER", "{swish: {slope: 2.0}}", "slope"),
    Row("datasets", "squares.py", "DATA", "name: squares, images: 64", "images"),
    Row("transforms", "negative.py", "TRANSFORM", "{negative: {p: 0.2}}, normalize", "negative"),
    Row(
        "optimizers",
        "adagrad.py",
        "OPTIMIZER",
        "{name: adagrad, lr: 0.1, epsilon: 1e-8}",
        "epsilon",
    ),
    Row("schedules", "triangle.py", "SCHEDULE", "{name: triangle, floor: 0.2}", "floor"),
    Row(
        *("penalties", "decorrelated.py", "PENALTY"),
        *("decorrelated: {layers: [conv1], weight: 0.1}", "weight"),
    ),
    Row("losses", "mean_absolute.py", "LOSS", "{name: mean_absolute}", "mean_absolute"),
    Row(
        *("tasks", "ordinal.py", "TASK", "task: {name: ordinal, places: 2}", "places"),
        others=(("OUT", "$num_classes - 1"), ("LOSS", "{name: cumulative}")),
    ),
    Row("observers", "weight_norm.py", "OBSERVER", "weight_norm: {layer: conv1}", "layer"),
]
USED = {
    "pictures": ("weights.py", "visualize weights run --bins 5 --plugin weights.py"),
    "checks": ("contrast.py", "diagnose run.yaml --check contrast"),
}
"""The two that no run file names: a file and the command that uses it."""


def show(kind: str, file: str, used: str, message: str) -> None:
    length = len(FILES[file].splitlines())
    print(f"\n{kind:10} {file:16} {length:2} lines  {used:50} {message.splitlines()[0]}", end="")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.kind)
def test_one_file_and_one_line(row: Row, cnntrain: Cnntrain) -> None:
    Path(row.file).write_text(FILES[row.file])
    Path("run.yaml").write_text(row.run_file(row.line))
    done = cnntrain("fit", "run.yaml", "--out", "run")
    assert done.code == 0, done.err

    wrong = re.sub(rf"\b{row.key}\b", row.key[:-1], row.line)
    Path("wrong.yaml").write_text(row.run_file(wrong))
    misspelt = cnntrain("check", "wrong.yaml")
    assert misspelt.code == 2
    [number] = [n for n, line in enumerate(RUN_FILE.splitlines(), 1) if row.place in line]
    assert misspelt.err.startswith(f"wrong.yaml:{number}:")
    assert f"did you mean '{row.key}'" in misspelt.err

    listed = cnntrain("list", row.kind, "--plugin", row.file)
    assert listed.code == 0
    assert re.search(rf"^{row.name}\b", listed.out, re.MULTILINE)
    schema = cnntrain("schema", "--plugin", row.file)
    assert schema.code == 0
    assert f'"{row.name}"' in json.dumps(json.loads(schema.out))
    show(row.kind, row.file, row.line, misspelt.err)


@pytest.mark.parametrize("kind", USED)
def test_one_file_and_a_command(kind: str, cnntrain: Cnntrain) -> None:
    file, command = USED[kind]
    name = file.removesuffix(".py")
    Path(file).write_text(FILES[file])
    row = ROWS[0]
    Path("run.yaml").write_text(row.run_file("relu").replace(row.file, file))
    assert cnntrain("fit", "run.yaml", "--out", "run").code == 0
    made = cnntrain(*command.split())
    assert made.code == 0, made.err
    misspelt = cnntrain(*command.replace(f" {name} ", f" {name[:-1]} ").split())
    if kind == "checks":
        misspelt = cnntrain(*command.split()[:-1], name[:-1])
    assert misspelt.code == 2
    assert f"did you mean '{name}'" in misspelt.err.lower()
    listed = cnntrain("list", kind, "--plugin", file)
    assert re.search(rf"^{name}\b", listed.out, re.MULTILINE)
    show(kind, file, command, misspelt.err.replace("\n", " "))


def test_every_kind_is_added() -> None:
    assert {row.kind for row in ROWS} | set(USED) == set(CHOICES)
