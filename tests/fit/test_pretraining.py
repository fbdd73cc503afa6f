"""Pre-training in stages: what each learns from, what is handed on, and resuming bit for bit."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

import cnntrain
from cnntrain.assemble.checked import check_run_file
from cnntrain.assemble.networks import make_network
from cnntrain.assemble.prepare import prepare
from cnntrain.assemble.stages import stages_of
from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.fit import fit as training
from cnntrain.fit.fit import Outcome
from cnntrain.fit.pretraining import pretrained
from cnntrain.model.opening import open_model
from cnntrain.runs.folder import RunFolder

Train = Callable[..., Outcome]
Differences = Callable[[Path, Path], list[str]]
RunFile = Callable[..., Path]

STACKED: Mapping[str, Any] = {
    "arch": {
        "vars": {"width": 6},
        "layers": [
            {"conv": {"out": 4, "kernel": 3, "padding": "same"}},
            "batch_norm",
            "relu",
            {"max_pool": {"kernel": 2}},
            "flatten",
            {"dropout": {"p": 0.3}},
            {"linear": {"out": "$width"}},
            "sigmoid",
            {"linear": {"out": "$num_classes"}, "as": "output"},
        ],
        "init": [{"layers": "linear", "weight": "xavier"}, {"names": "output", "bias": 0.1}],
    },
    "data.split": {"validation": 24, "train": 30},
    "pretrain": {
        "epochs": 2,
        "optimizer": {"name": "adam", "lr": 0.01},
        "stages": [
            {
                "to": "max_pool1",
                "noise": {"masking_noise": {"p": 0.25}},
                "decoder": [{"unpool": {"of": "max_pool1"}}, {"tied": {"to": "conv1"}}],
            },
            {
                "to": "sigmoid1",
                "noise": "gaussian_noise",
                "decoder": [
                    {"linear": {"out": 64}},
                    {"unflatten": {"shape": [4, 4, 4]}},
                ],
                "epochs": 3,
                "lr": 0.02,
                "penalties": [{"kl_sparsity": {"layers": ["sigmoid1"], "rho": 0.2}}],
            },
        ],
    },
}
"""A convolutional stage of 2 x 5 steps, one of 3 x 5, and 4 x 2 steps with 30 labels."""


def checkpoints(run: Path) -> dict[str, Path]:
    return {
        name: run / place / "checkpoints" / "last.pt"
        for name, place in (("1", "pretrain/max_pool1"), ("2", "pretrain/sigmoid1"), ("all", "."))
    }


def test_stopped_in_each_stage_it_is_the_run_that_never_stopped(
    run_file: RunFile,
    train_tiny: Train,
    differences: Differences,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file, whole, parts = run_file(STACKED), tmp_path / "whole", tmp_path / "parts"
    assert train_tiny(file, out=whole).exit_code == 0
    assert train_tiny(file, out=parts, stop=3).exit_code == 130  # of stage 1
    assert [*parts.glob("pretrain/*")] == [parts / "pretrain" / "max_pool1"]
    with pytest.raises(CheckpointError, match="its stages of pre-training are not done"):
        open_model(parts)
    assert train_tiny(file, out=parts, auto=True, stop=12).exit_code == 130  # of stage 2
    assert f"continues {parts}, in its pre-training" in capsys.readouterr().err
    assert not [*parts.glob("checkpoints/*.pt")]
    assert train_tiny(resumed=parts, stop=7).exit_code == 130  # with labels
    assert train_tiny(file, out=parts, auto=True).exit_code == 0
    assert f"continues {parts} from epoch 4, step 7" in capsys.readouterr().err
    for name, file in checkpoints(parts).items():
        expected = ["config"] if name == "2" else []  # it names the folder of stage 1
        assert differences(checkpoints(whole)[name], file) == expected
    with pytest.raises(UsageError, match="has done all of its 4 epochs"):
        train_tiny(resumed=parts)


@pytest.mark.parametrize("done", [["max_pool1"], ["max_pool1", "sigmoid1"]])
def test_killed_between_stages(
    run_file: RunFile,
    train_tiny: Train,
    differences: Differences,
    tmp_path: Path,
    done: list[str],
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    train_tiny(run_file(STACKED), out=whole)
    (cut / "checkpoints").mkdir(parents=True)
    for name in ("config.yaml", *(f"pretrain/{stage}" for stage in done)):
        copy = shutil.copytree if (whole / name).is_dir() else shutil.copy
        copy(whole / name, cut / name)
    assert train_tiny(resumed=cut).exit_code == 0
    assert differences(checkpoints(whole)["all"], checkpoints(cut)["all"]) == []


def test_what_a_stage_found_is_what_the_next_one_starts_from(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """Layers of earlier stages stay as they are; of the last stage all but its decoder counts."""
    checked = check_run_file(run_file(STACKED))
    prepared = prepare(checked.loaded, plan=checked.plan)
    initial = make_network(checked.plan, seed=0).state_dict()
    run = RunFolder(tmp_path / "run")
    start = pretrained(
        prepared, run, begin=training.fit, go_on=training.resume, quiet=True, silent=True
    )
    assert not hasattr(start, "exit_code")
    one, two = (load_checkpoint(run.stages / name / "checkpoints" / "best.pt")["model"]
                for name in ("max_pool1", "sigmoid1"))  # fmt: skip
    now = start.learner.model.state_dict()
    frozen = [name for name in one if name.startswith(("conv1.", "batch_norm1."))]
    assert len(frozen) == 7
    assert all(torch.equal(one[name], two[name]) for name in frozen)
    assert not torch.equal(one["conv1.weight"], initial["conv1.weight"])
    for name in (*frozen, "linear1.weight", "linear1.bias"):
        assert torch.equal(now[name], two[name]), name
    assert torch.equal(now["output.weight"], initial["output.weight"])
    assert not any("decoder" in name for name in now)
    loaded = json.loads(run.weights.read_text())
    assert loaded["missing"] == ["output.weight", "output.bias"]


def test_a_stage_is_a_run_file_of_its_own(run_file: RunFile) -> None:
    """All images without labels; what a stage reconstructs is what its first layer reads."""
    checked = check_run_file(run_file({**STACKED, "data.sampling": "balanced"}))
    one, two = stages_of(checked.loaded, checked.plan)
    assert (one.loaded.config.task.name, two.loaded.config.task.name) == (
        "reconstruction",
        "layer_reconstruction",
    )
    last = two.loaded.config.arch["layers"][-1]
    assert last["from"] == ["sigmoid1_decoder2", "max_pool1"]
    data, train = two.loaded.config.data, two.loaded.train
    assert (data.split.train, data.split.validation, data.sampling) == (None, 24, "natural")
    assert (train.epochs, train.optimizer.rate, train.loss.name) == (3, 0.02, "mse")
    assert [call.name for call in train.penalties] == ["kl_sparsity"]
    assert one.loaded.config.finetune is None
    assert two.loaded.config.finetune is not None
    assert two.loaded.config.finetune.freeze == ("conv1", "batch_norm1")
    assert two.encoder == ("conv1", "batch_norm1", "linear1")


def test_an_encoder_is_what_another_task_takes_of_an_autoencoder(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """`linear2` is in both, but another layer there: what follows the encoder is not taken."""
    decoder = [{"linear": {"out": 5}}, "relu", {"linear": {"out": 64}}]
    encoder = ["flatten", {"linear": {"out": 6}}, "sigmoid"]
    there = {
        "arch": {"layers": [*encoder, *decoder, {"unflatten": {"shape": [1, 8, 8]}}]},
        "task": {"name": "reconstruction"},
        "train.epochs": 1,
    }
    here = {
        "arch": {"layers": [*encoder, {"linear": {"out": 6}}, {"linear": {"out": "$num_classes"}}]},
        "finetune": {"weights": {"run": str(tmp_path / "there")}, "least_loaded": 0.5},
        "train.epochs": 1,
    }
    train_tiny(run_file(there, name="there"), out=tmp_path / "there")
    train_tiny(run_file(here, name="here"), out=tmp_path / "here")
    start = json.loads((tmp_path / "here" / "weights.json").read_text())
    assert start["loaded"] == ["linear1.weight", "linear1.bias"]
    assert start["missing"] == ["linear2.weight", "linear2.bias"]
    assert start["new"] == ["linear3.weight", "linear3.bias"]
    assert {"linear2.weight", "linear3.weight"} <= set(start["left_over"])


def test_several_trainings_in_one_are_refused(run_file: RunFile) -> None:
    from cnntrain.fit.ablate import ablate

    file = run_file(STACKED)
    with pytest.raises(UsageError, match="not for an ablation"):
        ablate(file, [("sigmoid1",)], train=True)


def test_from_python_in_memory_it_is_the_run_in_a_folder(
    run_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    file = run_file({**STACKED, "train.epochs": 1})
    found = cnntrain.fit(file, quiet=True)
    train_tiny(file, out=tmp_path / "run")
    theirs = open_model(tmp_path / "run").net.state_dict()
    assert all(
        torch.equal(value, theirs[name]) for name, value in found.model.net.state_dict().items()
    )
    assert found.run is None
