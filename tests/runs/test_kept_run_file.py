"""What a checkpoint asks for and this version lacks: the checkpoint is refused, with code 4."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.fit.fit import Outcome
from cnntrain.model.opening import open_model, plan_of_run

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]


@pytest.fixture
def run(run_file: RunFile, train_tiny: Train, tmp_path: Path) -> Path:
    train_tiny(run_file({"train.epochs": 1}), out=tmp_path / "run")
    return tmp_path / "run"


def replace(run: Path, old: str, new: str) -> None:
    """In the run file of every checkpoint and in config.yaml, as the version that knew it would."""
    for path in (run / "checkpoints").iterdir():
        state = load_checkpoint(path)
        assert old in state["config"]
        save(path, {**state, "config": state["config"].replace(old, new)})
    config = run / "config.yaml"
    config.write_text(config.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("- affine:", "- zoom:", "unknown transform 'zoom'"),
        ("name: cross_entropy", "name: dice", "unknown loss 'dice'"),
        ("name: sgd", "name: adopt", "unknown optimizer 'adopt'"),
        ("- batch_norm", "- batch_renorm", "unknown layer or block 'batch_renorm'"),
        ("name: synthetic", "name: organic", "unknown data set 'organic'"),
    ],
)
def test_what_is_unknown_here(run: Path, train_tiny: Train, old: str, new: str, said: str) -> None:
    replace(run, old, new)
    last = run / "checkpoints" / "last.pt"
    for path, act in (
        (run / "checkpoints" / "best.pt", lambda: open_model(run)),
        (last, lambda: train_tiny(resumed=run, overrides=["train.epochs=2"])),
        (last, lambda: plan_of_run(last)),
        (run / "config.yaml", lambda: plan_of_run(run)),
    ):
        with pytest.raises(CheckpointError) as caught:
            act()
        first, *others = str(caught.value).split("\n")
        assert first == (
            f"the run file in {path} asks for what this cnntrain does not have; name the plugin "
            "that it comes from (--plugin FILE), or update cnntrain, if a newer version wrote it"
        )
        assert said in "\n".join(others)


def test_an_unknown_key(run: Path) -> None:
    replace(run, "clip_norm: null", "clip_to: null")
    with pytest.raises(CheckpointError) as caught:
        open_model(run)
    assert str(caught.value).startswith(
        f"the run file in {run}/checkpoints/best.pt cannot be used here; update cnntrain, if a "
        "newer version wrote it\n"
    )
    assert "unknown key 'clip_to' in train" in str(caught.value)


def test_an_unknown_step_of_the_preprocessing(run: Path) -> None:
    best = run / "checkpoints" / "best.pt"
    state = load_checkpoint(best)
    save(best, {**state, "transforms": {**state["transforms"], "eval": [{"name": "zoom"}]}})
    with pytest.raises(CheckpointError, match="prepares images with the unknown transform 'zoom'"):
        open_model(run)


def test_changes_of_the_user_are_the_users(run: Path) -> None:
    with pytest.raises(ConfigError, match="unknown key 'size'"):
        open_model(run, overrides=["data.name=digits"])
    with pytest.raises(ConfigError, match="must be"):
        open_model(run, overrides=["compute.threads=none"])
