"""All that is wrong is found at once, and before anything is read or written."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from cnntrain.assemble.build_network import build
from cnntrain.assemble.checked import check_run_file
from cnntrain.assemble.transfer.preprocessing import follow_weights
from cnntrain.cli.app import main
from cnntrain.core.errors import ConfigError

EIGHT = """\
arch: {layers: [flatten, {linear: {out: 7}}, softmax], made_for: {sze: 8}}
data: {name: image_folder, root: images, transforms: TRANSFORMS}
train:
  epochs: 4
  optimizer: {name: sgd, lr: 0.1, momentom: 0.9}
  schedule: {name: multi_step, milestones: [1, 3], warmup_epochs: 2}
  early_stop: {patience: 3}
  clip_norm: big
"""
EVAL = "eval: [{resize: {size: [8, 8]}}]"
TRANSFORMS = f"{{train: [{{resize: {{size: [8, 8]}}}}, {{center_crop: {{size: 9}}}}], {EVAL}}}"
WHAT = {
    "7 outputs": 1,
    "ends in 'softmax1'": 1,
    "unknown key 'sze' in made_for": 1,
    "a crop of 9 x 9": 2,
    "'momentom'": 5,
    "inside the warm-up": 6,
    "early stopping needs validation images": 7,
    "'clip_norm' must be a number": 8,
}


def images(root: Path) -> None:
    for name in ("cat", "dog"):
        folder = root / "images" / "train" / name
        folder.mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8), (random.randrange(255), 0, 0)).save(folder / f"{number}.png")


@pytest.mark.parametrize("command", ["check", "fit"])
def test_eight_faults_of_eight_kinds(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images(tmp_path)
    (tmp_path / "run.yaml").write_text(EIGHT.replace("TRANSFORMS", TRANSFORMS))
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr("sys.argv", ["cnntrain", command, "run.yaml"])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    said = [text for text in capsys.readouterr().err.splitlines() if text.startswith("run.yaml:")]
    for what, line in WHAT.items():
        assert [text for text in said if what in text and text.startswith(f"run.yaml:{line}:")]
    assert len(said) == len(WHAT), said
    assert sorted(tmp_path.rglob("*")) == before, "nothing is written, no cache either"


@pytest.mark.parametrize("command", ["check", "fit"])
def test_early_stopping_without_a_validation_folder(
    command: str,
    run_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    images(tmp_path)
    file = run_file({"train.early_stop.patience": 3})
    tree: dict[str, Any] = yaml.safe_load(file.read_text())
    tree["data"] = {
        "name": "image_folder",
        "root": "images",
        "transforms": {
            name: [{"resize": {"size": [8, 8]}}, "normalize"] for name in ("train", "eval")
        },
    }
    file.write_text(yaml.safe_dump(tree))
    monkeypatch.setattr("sys.argv", ["cnntrain", command, str(file)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "early stopping needs validation images" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_mended_key_brings_no_complaints_of_its_own(run_file: Callable[..., Path]) -> None:
    """Early stopping would lack validation images if a wrong value counted as none."""
    file = run_file({"train.early_stop.patience": 3, "data.split.validation": "a tenth"})
    with pytest.raises(ConfigError) as error:
        check_run_file(file)
    assert [p.message.split(" must")[0] for p in error.value.problems] == ["'validation'"]


def test_a_wrong_item_of_a_list_does_not_move_the_lines_of_the_others(tmp_path: Path) -> None:
    """The second group changes nothing: said at its own line or, with the list in doubt, not."""
    (tmp_path / "run.yaml").write_text(
        "arch: {layers: [flatten, {linear: {out: $num_classes}}]}\n"
        "data: {name: digits, split: {validation: 0.1}}\n"
        "train:\n"
        "  epochs: 2\n"
        "  optimizer:\n"
        "    name: sgd\n"
        "    lr: 0.1\n"
        "    groups:\n"
        "      - {lr_factor: 2}\n"
        "      - {names: 'linear*'}\n"
    )
    with pytest.raises(ConfigError) as error:
        check_run_file(tmp_path / "run.yaml")
    found = [(p.place.line if p.place else 0, p.message) for p in error.value.problems]
    assert found == [(9, "'names' is missing in train.optimizer.groups[0]")]


def test_the_weights_are_asked_once_how_images_are_prepared(
    run_file: Callable[..., Path],
    train_tiny: Callable[..., Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of a run that is a whole checkpoint to be read."""
    train_tiny(run_file({"train.epochs": 1}), out=tmp_path / "first")
    changes = {"finetune.weights.run": str(tmp_path / "first"), "data.transforms": {}}
    checked = check_run_file(run_file(changes))
    assert checked.loaded.follows_weights

    def never(loaded: object) -> None:
        raise AssertionError("read again")

    monkeypatch.setattr("cnntrain.assemble.transfer.preprocessing.known_steps", never)
    assert follow_weights(checked.loaded) is checked.loaded


def test_transforms_without_a_size_bring_no_complaint_of_sizes(tmp_path: Path) -> None:
    """The size of training images is unknown then, and not that of ImageNet's."""
    (tmp_path / "run.yaml").write_text(
        """
arch: {layers: [flatten, {linear: {out: $num_classes}}]}
data:
  name: image_folder
  root: images
  transforms:
    train: [{resize: {size: [16, 16]}}, {cutmix: {alpha: 1.0}}, normalize]
    eval: [{resize: {size: [16, 16]}}, normalize]
train: {epochs: 3, optimizer: {name: sgd, lr: 0.1}}
"""
    )
    with pytest.raises(ConfigError) as caught:
        check_run_file(tmp_path / "run.yaml")
    [problem] = caught.value.problems
    assert "must stand before what mixes them" in problem.message


UNSET = """\
arch: {layers: [flatten, {linear: {out: $num_classes}}]}
data: {name: image_folder, root: $NOWHERE/a, transforms: {train: [RESIZE], eval: [RESIZE]}}
train: {epochs: 4, optimizer: {name: sgd, lr: 0.1}}
"""


@pytest.mark.parametrize(
    ("command", "place"),
    [
        (["check", "run.yaml"], "run.yaml:2:34"),
        (["fit", "run.yaml", "-q"], "run.yaml:2:34"),
        (["data", "check", "run.yaml"], "run.yaml:2:34"),
        (["check", "run.yaml", "-s", "data.root=$NOWHERE"], "command line:1:14"),
    ],
)
def test_a_variable_that_is_not_set_is_a_mistake_of_the_run_file(
    command: list[str],
    place: str,
    run_file: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The network, which needs no images, is built all the same."""
    Path("run.yaml").write_text(UNSET.replace("RESIZE", "resize: {size: [8, 8]}"))
    monkeypatch.delenv("NOWHERE", raising=False)
    monkeypatch.setattr("sys.argv", ["cnntrain", *command])
    with pytest.raises(SystemExit) as end:
        main()
    said = capsys.readouterr().err
    assert end.value.code == 2, said
    assert said.startswith(f"{place}: the environment variable NOWHERE in `data.root"), said
    assert said.count("environment variable") == 1
    build("run.yaml", vars={})
