"""Images that are held out: recorded, said, and the same in every command."""

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]


@pytest.fixture
def file(run_file: RunFile) -> Path:
    """96 images of two classes in stock (see conftest), no splits but those that are asked for."""
    shares = {"validation": 0.25, "test": 0.25, "seed": 4}
    return run_file({"data.test_images": 0, "data.split": shares, "train.epochs": 1})


def test_recorded_said_and_used(cnntrain: Cnntrain, file: Path) -> None:
    assert "(held out: validation 0.25, test 0.25, seed 4)" in cnntrain("check", file).out
    fitted = cnntrain("fit", file, "--out", "here")
    assert fitted.code == 0, fitted.err
    rows = list(csv.DictReader(Path("here/split.csv").read_text().splitlines()))
    counts = Counter(row["split"] for row in rows)
    assert counts["validation"] == counts["test"] == round(len(rows) / 4)
    note = ", ".join(f"{counts[name]} {name}" for name in ("train", "validation", "test"))
    assert f"split: {note} (by class, seed 4)" in fitted.err
    assert f"split: {note}" in cnntrain("data", "check", file).out
    shown = json.loads(cnntrain("eval", "here", "--json").out)
    assert shown["split"] == "test"
    assert shown["images"] == counts["test"]
    # whatever the run's own seed is
    again = cnntrain("fit", file, "--out", "again", "-s", "seed=9")
    assert again.code == 0, again.err
    assert Path("again/split.csv").read_text() == Path("here/split.csv").read_text()
    other = cnntrain("fit", file, "--out", "other", "-s", "data.split.seed=5")
    assert Path("other/split.csv").read_text() != Path("here/split.csv").read_text(), other.err


def test_a_run_without_such_images_has_no_record(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file({"data.split": {}, "train.epochs": 1})
    assert "held out" not in cnntrain("check", file).out
    assert cnntrain("fit", file, "--out", "here").code == 0
    assert not Path("here/split.csv").exists()


def test_a_run_of_an_earlier_version_is_resumed(cnntrain: Cnntrain, run_file: RunFile) -> None:
    """Its config.yaml says `validation`, and so does its checkpoint."""
    from cnntrain.checkpoint import load, save

    file = run_file({"data.split": {"validation": 0.25}, "train.epochs": 1})
    assert cnntrain("fit", file, "--out", "here").code == 0
    rows = Path("here/split.csv").read_text()
    earlier = yaml.safe_load(Path("here/config.yaml").read_text())
    del earlier["data"]["split"]
    earlier["data"]["validation"] = 0.25
    Path("here/config.yaml").write_text(yaml.safe_dump(earlier))
    for path in Path("here/checkpoints").glob("*.pt"):
        save(path, {**load(path), "config": yaml.safe_dump(earlier)})
    Path("here/split.csv").unlink()
    assert cnntrain("eval", "here").code == 0
    text = file.read_text()
    file.write_text(text.replace("epochs: 1", "epochs: 2"))
    resumed = cnntrain("fit", file, "--resume", "auto", "--out", "here")
    assert resumed.code == 0, resumed.err
    assert "continues here" in resumed.err
    assert Path("here/split.csv").read_text() == rows


def test_networks_that_learnt_from_the_others_images(cnntrain: Cnntrain, file: Path) -> None:
    for name, seed in (("a", 4), ("b", 5), ("c", 4)):
        made = cnntrain("fit", file, "--out", name, "-s", f"data.split.seed={seed}", "-s", "seed=7")
        assert made.code == 0, made.err
    refused = cnntrain("eval", "a", "b", "--split", "validation")
    assert refused.code == 2
    assert "was trained on some of the validation images" in refused.err
    assert cnntrain("eval", "a", "c", "--split", "validation").code == 0


def test_check_says_that_the_images_are_not_there(
    cnntrain: Cnntrain, run_file: RunFile, tmp_path: Path
) -> None:
    (tmp_path / "my_images").mkdir()
    steps = [{"resize": {"size": [8, 8]}}, "normalize"]
    transforms = {"train": steps, "eval": steps}
    data = {"name": "image_folder", "root": "my_imags", "channels": 1, "transforms": transforms}
    file = run_file({"data": data})
    answer = cnntrain("check", file)
    assert answer.code == 3
    assert "good but for its images, which are not there (" in answer.out
    assert "(10 classes assumed until the images are there)" in answer.out
    assert (
        f"{file}:19:9: there is no folder my_imags; did you mean -s data.root=my_im" in answer.err
    )
    for name in ("a", "b", "c"):
        (tmp_path / "my_images" / name).mkdir()
        (tmp_path / "my_images" / name / "1.png").write_bytes(b"x")
    answer = cnntrain("check", file, "-s", "data.root=my_images")
    assert answer.code == 0
    assert "assumed" not in answer.out
    assert "(held out: validation 0.2, seed 0)" in answer.out
