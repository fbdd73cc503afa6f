"""An optimizer, a schedule and a loss of one's own: one file outside, one line of YAML."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from cnntrain.checkpoint import load as load_checkpoint

Cnntrain = Callable[..., Any]

PLUGIN = '''
"""Signs as steps, a rate that halves, and the distance to the target's score."""

import torch

from cnntrain.core.kinds import BelowOne, PositiveFloat
from cnntrain.optim import optimizer, schedule
from cnntrain.optim.guarded import GuardedOptimizer
from cnntrain.tasks import loss


@optimizer("my_signs", defaults={"weight_decay": 0.5})
class MySigns(GuardedOptimizer):
    """The sign of an average.

    Args:
        keep: share of it that stays.
    """

    def __init__(self, *, groups, keep: BelowOne = 0.5):
        super().__init__(groups, {"keep": keep})

    def start(self, parameter, group):
        return {"mean": torch.zeros_like(parameter)}

    def move(self, parameter, gradient, buffers, group):
        mean = group["keep"] * buffers["mean"] + gradient
        return parameter - group["lr"] * mean.sign(), {"mean": mean}


@schedule("my_halves")
def my_halves(*, epochs: PositiveFloat = 1.0, steps_per_epoch: int):
    """Half of it after every so many epochs.

    Args:
        epochs: how many.
    """
    return lambda done: 0.5 ** (done // (epochs * steps_per_epoch))


@loss("my_distance")
def my_distance(*, target: PositiveFloat = 1.0):
    """The distance of the right score from a target.

    Args:
        target: what it should be.
    """

    def each(logits, targets):
        return (logits.gather(1, targets[:, None])[:, 0] - target).abs()

    return each
'''
RUN_FILE = """
plugins: [mine.py]
arch: {layers: [flatten, {linear: {out: $num_classes}}]}
data: {name: synthetic, size: 4, classes: 3, images: 40, test_images: 10, batch_size: 8}
train:
  epochs: 2
  optimizer: {name: my_signs, lr: 0.01, keep: 0.25}
  schedule: {name: my_halves, epochs: 0.4}
  loss: {name: my_distance, target: 2}
record: {tensorboard: false, every: 1}
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "run.yaml").write_text(RUN_FILE)
    return tmp_path / "run.yaml"


def test_they_train_and_resume(file: Path, cnntrain: Cnntrain) -> None:
    assert cnntrain("check", file).code == 0
    answer = cnntrain("fit", file, "--out", "run")
    assert answer.code == 0, answer.err
    rows = [json.loads(row) for row in Path("run/metrics.jsonl").read_text().splitlines()]
    rates = [row["lr"] for row in rows if row["type"] == "step"]
    assert rates == [0.01 * 0.5**n for n in (0, 0, 1, 1, 2, 2, 3, 3, 4, 4)]  # 5 steps an epoch
    answer = cnntrain("fit", file, "--out", "parts", "-s", "train.epochs=1")
    assert answer.code == 0, answer.err
    answer = cnntrain("fit", "--resume", "parts", "--epochs", "2")
    assert answer.code == 0, answer.err
    ours, theirs = (load_checkpoint(Path(r, "checkpoints/last.pt")) for r in ("parts", "run"))
    for name, value in theirs["model"].items():
        assert torch.equal(value, ours["model"][name]), name
    assert cnntrain("eval", "run").code == 0
    shown = cnntrain("show", file).out
    assert "keep: 0.25" in shown
    assert "weight_decay: 0.5" in shown


def test_they_are_listed_and_in_the_schema(file: Path, cnntrain: Cnntrain) -> None:
    for what, name, parameter in (
        ("optimizers", "my_signs", "keep: BelowOne (default 0.5): share of it that stays."),
        ("schedules", "my_halves", "epochs: PositiveFloat (default 1.0): how many."),
        ("losses", "my_distance", "target: PositiveFloat (default 1.0): what it should be."),
    ):
        answer = cnntrain("list", what, name, "--plugin", "mine.py")
        assert answer.code == 0, answer.err
        assert parameter in answer.out
        section = {"losses": "Loss"}.get(what, what.removesuffix("s").capitalize()) + "Section"
        schema = json.loads(cnntrain("schema", "--plugin", "mine.py").out)
        names = [each["properties"]["name"]["const"] for each in schema["$defs"][section]["oneOf"]]
        assert name in names


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: my_signs", "name: my_sings", "unknown optimizer 'my_sings'; did you mean 'my_si"),
        ("keep: 0.25", "kep: 0.25", "with the optimizer 'my_signs'; did you mean 'keep'?"),
        ("keep: 0.25", "keep: 1", "'keep' must be less than 1, not 1"),
        ("name: my_halves", "name: my_halfs", "did you mean 'my_halves'?"),
        ("epochs: 0.4", "epoch: 0.4", "with the schedule 'my_halves'; did you mean 'epochs'?"),
        ("name: my_distance", "name: my_distanse", "did you mean 'my_distance'?"),
        ("target: 2", "targets: 2", "with the loss 'my_distance'; did you mean 'target'?"),
        ("target: 2", "device: cpu", "'device' in train.loss"),
    ],
)
def test_what_is_misspelt_is_told_at_its_line(
    file: Path, cnntrain: Cnntrain, old: str, new: str, message: str
) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    for command in (("check", file), ("fit", file, "--out", "run")):
        answer = cnntrain(*command)
        assert answer.code == 2
        assert message in answer.err
        assert "run.yaml:" in answer.err
    assert not Path("run").exists()


def test_an_optimizer_that_cannot_be_called_off_is_refused(
    cnntrain: Cnntrain, run_file: Callable[..., Path], tmp_path: Path
) -> None:
    """torch's unfused optimizers would step at a loss that is not finite."""
    (tmp_path / "plain.py").write_text(
        "import torch\n"
        "from cnntrain.optim import optimizer\n\n"
        '@optimizer("plain")\n'
        "def plain(*, groups):\n"
        '    """Adagrad."""\n'
        "    return torch.optim.Adagrad(groups)\n"
    )
    file = run_file({"plugins": ["plain.py"], "train.optimizer": {"name": "plain", "lr": 0.1}})
    answer = cnntrain("fit", file)
    assert answer.code == 2
    assert "'plain' makes a Adagrad that would step" in answer.err
    assert "fused=True" in answer.err
