"""A trained network from a run, a checkpoint, or a run file that names weights."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.config import shipped
from cnntrain.config.load import load
from cnntrain.core.errors import CheckpointError, ConfigError, UsageError
from cnntrain.export.export import export
from cnntrain.fit.fit import fit
from cnntrain.model.opening import open_model

KNOWN = {"eval": [{"normalize": {"mean": [0.5], "std": [0.25]}}]}


@pytest.fixture
def trained(run_file: Callable[..., Path], train_tiny: Callable[..., Any]) -> Path:
    found: Path = train_tiny(run_file({"train.epochs": 2}, name="first")).run.path
    return found


@pytest.fixture
def weights(trained: Path, tmp_path: Path) -> Path:
    """The run's weights, as another program would save them."""
    model: Any = load_checkpoint(trained / "checkpoints" / "best.pt")["model"]
    torch.save({"state_dict": model}, tmp_path / "weights.pth")
    return tmp_path / "weights.pth"


def lending(run_file: Callable[..., Path], name: str = "lending", **changes: Any) -> Path:
    """A run file without `train`."""
    given = {"finetune": {"weights": {"file": "weights.pth"}}, "data.transforms": KNOWN}
    return run_file({**given, "train": None, **changes}, name=name)


def logits(trained: Any) -> torch.Tensor:
    images = torch.randn(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    found: torch.Tensor = trained.net(images)
    return found


def test_a_run_a_checkpoint_and_a_file_of_its_weights(
    trained: Path, weights: Path, run_file: Callable[..., Path]
) -> None:
    ways = [
        trained,
        trained / "checkpoints" / "best.pt",
        lending(run_file),
        lending(run_file, "from_run", finetune={"weights": {"run": "runs/first"}}),
    ]
    opened = [open_model(way) for way in ways]
    for each in opened:
        assert each.classes == ("class0", "class1", "class2")
        assert each.in_shape == (1, 8, 8)
        assert not each.net.training
        assert torch.equal(logits(each), logits(opened[0]))
    assert opened[2].path == weights
    assert opened[2].eval_steps == ({"name": "normalize", "mean": [0.5], "std": [0.25]},)
    assert (opened[2].epoch, opened[3].epoch) == (0, opened[0].epoch)


def test_weights_from_a_run_bring_its_preprocessing(
    trained: Path, run_file: Callable[..., Path]
) -> None:
    changes = {"finetune": {"weights": {"run": "runs/first"}}, "data.transforms": {}}
    assert open_model(lending(run_file, **changes)).eval_steps == open_model(trained).eval_steps


@pytest.fixture
def exported(trained: Path) -> Path:
    """The run's weights as cnntrain exports them."""
    [file] = export(open_model(trained), formats=["safetensors"], out=Path("exported.safetensors"))
    return file.path


def test_an_exported_file_tells_classes_and_preprocessing(
    trained: Path, exported: Path, run_file: Callable[..., Path]
) -> None:
    """As the run that it is from does."""
    section = {"weights": {"file": str(exported)}}
    opened = open_model(lending(run_file, finetune=section, **{"data.transforms": {}}))
    run = open_model(trained)
    assert (opened.eval_steps, opened.classes, opened.epoch) == (
        run.eval_steps,
        run.classes,
        run.epoch,
    )
    assert torch.equal(logits(opened), logits(run))
    file = run_file({"finetune": section, "data.transforms": KNOWN, "train.epochs": 1})
    fit(load(file), out=Path("tuned"), quiet=True)
    [note] = json.loads(Path("tuned/weights.json").read_text())["notes"]
    mean = run.eval_steps[0]["mean"][0]
    assert note.startswith("images are normalised with mean [0.5], std [0.25], but for these ")
    assert f"they were normalised with mean [{mean:.3g}]" in note


@pytest.mark.parametrize(
    "text", ["{}", "[]", "7", "NaN", "", "[" * 100_000, '{"epoch": 1e999, "classes": []}']
)
def test_metadata_of_others_under_our_name(
    exported: Path, run_file: Callable[..., Path], text: str
) -> None:
    save_file(load_file(exported), exported, {"cnntrain": text})
    section = {"weights": {"file": str(exported)}}
    with pytest.raises(CheckpointError, match=r"metadata of .* are not as cnntrain wrote them"):
        open_model(lending(run_file, finetune=section))


def test_names_mean_runs_that_are_there_else_run_files(
    trained: Path, run_file: Callable[..., Path], weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lending(run_file)
    Path("lending").mkdir()  # a folder of anything
    assert open_model(Path("lending")).path == weights
    shutil.copytree(trained, "lending", dirs_exist_ok=True)
    assert open_model(Path("lending")).path == Path("lending/checkpoints/best.pt")
    run_file({"record.root": "runs"}, name="first")
    with pytest.raises(UsageError, match=r"first is a run file without.* mean 'runs/first'\?"):
        open_model(Path("first"))
    shutil.rmtree("lending")
    Path("lending.yaml").rename("shipped.yaml")
    monkeypatch.setattr(shipped, "folder", Path.cwd)
    assert open_model(Path("shipped")).path == weights
    with pytest.raises(UsageError, match=r"there is no shiped; did you mean 'shipped'\?"):
        open_model(Path("shiped"))


def test_all_weights_must_be_there(weights: Path, run_file: Callable[..., Path]) -> None:
    found = torch.load(weights, weights_only=True)["state_dict"]
    del found["batch_norm1.running_mean"]
    torch.save(found, weights)
    with pytest.raises(CheckpointError, match="at least 100% are needed"):
        open_model(lending(run_file))


def test_the_head_must_be_that_of_the_data(weights: Path, run_file: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="does not fit the 4 classes of the data"):
        open_model(lending(run_file, **{"data.classes": 4}))


def test_normalisation_must_be_known(weights: Path, run_file: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="normalisation used for these weights") as caught:
        open_model(lending(run_file, **{"data.transforms": {"eval": ["normalize"]}}))
    assert caught.value.problems[0].place is not None


def test_a_run_file_without_weights(run_file: Callable[..., Path]) -> None:
    with pytest.raises(UsageError, match="is a run file without weights"):
        open_model(run_file())


def test_a_file_without_train_cannot_train(weights: Path, run_file: Callable[..., Path]) -> None:
    with pytest.raises(ConfigError, match="there is no `train` section"):
        fit(load(lending(run_file)))
    assert not Path("runs/lending").exists()


def test_overrides_change_the_run_file(weights: Path, run_file: Callable[..., Path]) -> None:
    file = lending(run_file, finetune={"weights": {"file": "elsewhere.pth"}})
    with pytest.raises(CheckpointError, match="does not exist"):
        open_model(file)
    assert open_model(file, overrides=[f"finetune.weights.file={weights}"]).path == weights
