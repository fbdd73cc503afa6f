"""Files that are not used are listed by every command that reads folders."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnntrain import load

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)
TOLD = "left out: JPEG XL images, which are not read: "


@pytest.fixture
def file(run_file: RunFile, tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for name, shade in (("=dark", 20), ("light", 220)):
            folder = tmp_path / "images" / split / name
            folder.mkdir(parents=True)
            for number in range(3):
                Image.new("RGB", (8, 8), (shade + number, shade, shade)).save(
                    folder / f"{number}.png"
                )
    train = tmp_path / "images" / "train"
    (train / "light" / "a.jxl").write_bytes(JXL)
    (train / "light" / "torn.png").write_bytes(b"x")
    Image.new("RGB", (8, 8)).save(train / "loose.png")
    steps = [{"resize": {"size": [8, 8]}}, "normalize"]
    lists = {"train": steps, "eval": steps}
    data = {"name": "image_folder", "root": str(tmp_path / "images"), "unreadable": "skip"}
    return run_file({"data": {**data, "batch_size": 3, "transforms": lists}, "train.epochs": 1})


def test_all_commands_list_them(cnntrain: Cnntrain, file: Path, tmp_path: Path) -> None:
    fitted = cnntrain("fit", file, "--out", "here")
    assert fitted.code == 0, fitted.err
    assert TOLD in fitted.err
    listed = Path("here/left_out.txt").read_text().splitlines()
    assert [Path(row.partition("\t")[0]).name for row in listed] == [
        "loose.png", "a.jxl", "torn.png",
    ]  # fmt: skip
    checked = cnntrain("data", "check", file)
    assert TOLD in checked.out
    assert "images beside the class folders" in checked.out
    found = json.loads(cnntrain("data", "check", file, "--json").out)
    assert [Path(each["file"]).name for each in found["left_out"]] == ["loose.png", "a.jxl"]
    for command in (["eval", "here"], ["features", "here", "--out", "f.csv", "--force"]):
        answer = cnntrain(*command, "--json")
        assert answer.code == 0, answer.err
        # validation is evaluated, and what is left out is of the training folder
        assert json.loads(answer.out)["left_out"] == []
        assert "left out" not in answer.err
        answer = cnntrain(*command, "--split", "train", "--json")
        assert TOLD in answer.err, command
        assert len(json.loads(answer.out)["left_out"]) == 3
    rows = list(csv.reader(Path("f.csv").read_text().splitlines()))
    assert {row[1] for row in rows[1:]} == {"'=dark", "light"}
    light = tmp_path / "images" / "train" / "light"
    answer = cnntrain("predict", "here", light, "--json")
    assert answer.code == 3, "one file is torn"
    assert TOLD in answer.err
    assert [Path(each["file"]).name for each in json.loads(answer.out)["left_out"]] == ["a.jxl"]
    for words, count in (
        (["probe", "here"], 3),
        (["retrieve", "here", "0"], 3),
        (["visualize", "embedding", "here", "--split", "train"], 3),
        (["visualize", "filters", "here"], 0),
    ):
        answer = cnntrain(*words, "--force", "--json")
        assert answer.code == 0, answer.err
        assert len(json.loads(answer.out)["left_out"]) == count, words
        assert answer.err.count(TOLD) == (count > 0), "each file once"
    table = cnntrain("predict", "here", tmp_path / "images" / "val", "--format", "csv").out
    assert "'=dark" in table


OPENING = (
    "eval here", "features here", "probe here", "retrieve here 0", "visualize mistakes here",
    "visualize embedding here", "visualize maps here", "visualize cam here",
    "visualize patches here",
)  # fmt: skip
"""Commands that open a split of a run's data: all that draw go through the same door."""


def test_whatever_opens_a_folder_lists_them(
    cnntrain: Cnntrain, file: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert cnntrain("fit", file, "--out", "here").code == 0
    for command in OPENING:
        answer = cnntrain(*command.split(), "--split", "train")
        assert TOLD in answer.err, (command, answer.err)
    for words in (["diagnose", file, "--check", "data"], ["data", "show", file, "--out", "x.png"]):
        assert TOLD in cnntrain(*words).err, words
    capfd.readouterr()
    load("here").predict(tmp_path / "images" / "train" / "light")
    assert TOLD in capfd.readouterr().err


def test_nothing_is_written_where_nothing_is_left_out(
    cnntrain: Cnntrain, file: Path, tmp_path: Path
) -> None:
    train = tmp_path / "images" / "train"
    for path in (train / "light" / "a.jxl", train / "light" / "torn.png", train / "loose.png"):
        path.unlink()
    answer = cnntrain("fit", file, "--out", "here")
    assert answer.code == 0, answer.err
    assert "left out" not in answer.err
    assert not Path("here/left_out.txt").exists()


def test_control_characters_of_names_never_reach_the_terminal(
    cnntrain: Cnntrain, file: Path, tmp_path: Path
) -> None:
    train = tmp_path / "images" / "train"
    for name in ("a\n\x1b[31mb.jxl", "c\x9b.jxl"):
        (train / "light" / name).write_bytes(JXL)
    (train / "light" / "x\x1b[2J\n.png").write_bytes(b"")
    assert cnntrain("fit", file, "--out", "here").code == 0
    for words in (
        ("data", "check", file),
        ("data", "check", file, "--json"),
        ("eval", "here"),
        ("predict", "here", train / "light"),
        ("predict", "here", train / "light", "--json"),
        ("predict", "here", train / "light", "--format", "csv"),
    ):
        answer = cnntrain(*words)
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", answer.out + answer.err), words
        if "--json" in words:
            json.loads(answer.out)
    assert "\x1b" not in Path("here/train.log").read_text()
    (train / "=dark").rename(train / "da\nrk")
    (tmp_path / "images" / "val" / "=dark").rename(tmp_path / "images" / "val" / "da\nrk")
    answer = cnntrain("data", "check", file)
    assert answer.code == 3
    assert "class 'da\\nrk' has a control character" in answer.err


def test_trainings_of_several_runs_list_them(cnntrain: Cnntrain, file: Path) -> None:
    answer = cnntrain("ablate", file, "--remove", "dropout1", "--json")
    assert answer.code == 0, answer.err
    assert len(json.loads(answer.out)["left_out"]) == 3
    assert answer.err.count(TOLD) == 1
    folds = cnntrain("fit", file, "--folds", "2", "-s", "data.validation_folder=false")
    assert folds.code == 0, folds.err
    assert TOLD in folds.err
