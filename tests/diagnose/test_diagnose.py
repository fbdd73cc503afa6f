"""Examining run files and runs: what each check is given, and that nothing is left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

import cnntrain
from cnntrain.checkpoint import capture_randomness
from cnntrain.core.errors import UsageError
from cnntrain.diagnose.diagnose import Diagnosis, examine
from cnntrain.diagnose.effort import Effort
from cnntrain.diagnose.faults import check_names
from cnntrain.diagnose.setup import open_patient
from cnntrain.fit.fit import Outcome
from cnntrain.train import undisturbed

pytestmark = pytest.mark.usefixtures("own_place")

RunFile = Callable[..., Path]
WITHOUT_MACHINE = [name for name in check_names() if name != "machine"]


def faults(diagnosis: Diagnosis) -> list[str]:
    return [finding.fault for finding in diagnosis.findings]


def everything(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def flat(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in flat(inner)]
    if isinstance(value, list | tuple):
        return [leaf for inner in value for leaf in flat(inner)]
    return [value.tolist() if isinstance(value, torch.Tensor) else value]


def test_a_healthy_file_is_fine_and_nothing_is_left_behind(
    run_file: RunFile, tmp_path: Path
) -> None:
    file = run_file({"train.epochs": 40})  # of the few images 200 steps
    before, randomness = everything(tmp_path), flat(capture_randomness())
    reports: list[str] = []
    diagnosis = examine(
        str(file), checks=WITHOUT_MACHINE, tell=lambda report: reports.append(report.check)
    )
    assert faults(diagnosis) == []
    assert reports == WITHOUT_MACHINE == [report.check for report in diagnosis.reports]
    assert {path: text for path, text in everything(tmp_path).items() if "cache" not in path.parts
            } == before  # fmt: skip
    assert flat(capture_randomness()) == randomness
    assert all(report.seconds > 0 for report in diagnosis.reports)


def test_a_run_is_examined_with_the_weights_it_learnt(
    run_file: RunFile, train_tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    outcome = train_tiny(run_file({"train.epochs": 2}), out=tmp_path / "run")
    before = everything(tmp_path)
    with undisturbed():
        patient = open_patient(str(tmp_path / "run"))
    assert patient.trained is not None
    ours, theirs = patient.net.state_dict(), patient.trained.state_dict()
    assert not torch.equal(ours["output.weight"], theirs["output.weight"])
    checks = ["connections", "gradients", "evaluation"]
    for name in (str(outcome.run.path), str(outcome.run.last)):
        assert faults(examine(name, checks=checks)) == []
    assert everything(tmp_path) == before


def test_equal_examinations_have_equal_results(run_file: RunFile) -> None:
    checks = ["connections", "initial", "overfit", "recipe"]
    first, second = (examine(str(run_file()), checks=checks) for _ in range(2))
    for ours, theirs in zip(first.reports, second.reports, strict=True):
        assert ours.numbers == theirs.numbers
        assert ours.tables == theirs.tables


HEAVY = [{"activation_l1": {"layers": ["output"], "weight": 100.0}}]


@pytest.mark.parametrize(
    ("changes", "checks", "fault"),
    [
        ({"train.optimizer.lr": 20.0}, ["rate"], "rate_too_high"),
        ({"train.optimizer.weight_decay": 15.0}, ["recipe"], "too_much_decay"),
        ({"train.l1": 3.0}, ["recipe"], "too_much_l1"),
        ({"train.penalties": HEAVY}, ["recipe"], "too_much_penalty"),
        ({"train.clip_norm": 1e-6}, ["recipe"], "clipped_to_nothing"),
        ({"train.loss": {"name": "cross_entropy", "label_smoothing": 0.999}}, ["recipe"],
         "too_much_smoothing"),
        ({"train.optimizer.groups": [{"names": "conv1", "lr_factor": 0.0}]}, ["connections"],
         "frozen_layer"),
        ({"arch.init": [{"weight": {"constant": {"value": 0.0}}, "bias": 0}]},
         ["connections", "initial"], "zero_initialisation"),
    ],
)  # fmt: skip
def test_what_stands_in_the_file_reaches_the_check(
    run_file: RunFile, changes: dict[str, Any], checks: list[str], fault: str
) -> None:
    assert faults(examine(str(run_file(changes)), checks=checks))[0] == fault


def test_changes_from_the_command_line(run_file: RunFile) -> None:
    changed = ["train.optimizer.lr=20.0"]
    diagnosis = examine(str(run_file()), checks=["rate"], overrides=changed)
    assert diagnosis.reports[0].numbers["rate"] == 20.0


def test_frozen_layers_with_weights_that_were_learnt_are_no_fault(
    run_file: RunFile, train_tiny: Callable[..., Outcome], tmp_path: Path
) -> None:
    train_tiny(run_file({"train.epochs": 1}), out=tmp_path / "run")
    finetune = {"weights": {"run": str(tmp_path / "run")}, "freeze": ["conv1", "batch_norm1"]}
    file = run_file({"finetune": finetune}, name="tuned")
    diagnosis = examine(str(file), checks=["connections"])
    assert faults(diagnosis) == []
    assert diagnosis.reports[0].numbers == {"layers": 3, "frozen": 2}


def test_an_unknown_check_is_refused(run_file: RunFile) -> None:
    with pytest.raises(UsageError, match=r"no check 'grads'.*gradients"):
        examine(str(run_file()), checks=["grads"])


def test_larger_networks_are_examined_with_less() -> None:
    """Work is about what it says: images there and back, three times the multiply-adds."""
    small = Effort.of(400_000, batch_size=64, on_gpu=False)
    large = Effort.of(4_000_000_000, batch_size=64, on_gpu=False)
    assert (small.batch, small.steps, small.recipe_steps) == (64, 80, 150)
    assert large.batch == 8
    assert 3 * 4e9 * large.batch * large.recipe_steps < 1e13
    assert Effort.of(4_000_000_000, batch_size=64, on_gpu=True).batch == 64


def test_from_python(run_file: RunFile, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = run_file({"train.optimizer.lr": 50.0})
    tree = yaml.safe_load(file.read_text())
    before, drawn = everything(tmp_path), torch.get_rng_state()
    diagnosis = cnntrain.diagnose(tree, checks=["recipe"])
    assert faults(diagnosis) == faults(examine(str(file), checks=["recipe"])) != []
    sound = cnntrain.diagnose(file, checks=["recipe"], overrides={"train.optimizer.lr": 0.05})
    assert faults(sound) == []
    assert everything(tmp_path) == before
    assert torch.equal(torch.get_rng_state(), drawn)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(UsageError, match="there is no check 'recip'; did you mean 'recipe'"):
        cnntrain.diagnose(tree, checks=["recip"])
