"""Classes and files with names that a stranger chose: through every command, into every output."""

from __future__ import annotations

import csv
import json
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import markdown
import pytest
import yaml
from PIL import Image

from cnntrain.checkpoint import load, save
from cnntrain.cli.app import main

CLASSES = (
    "=cmd|' C calc'!A0", "<script>alert(1)", "a|b](javascript:x)", "$\\frac{", "\u202egnp.exe",
    "zero\u200bwidth\"'&",
)  # fmt: skip
FILES = (
    b"two\nFORGED: lines", b"\x1b[2J\x1b]0;x\x07", b"\x9b31m\xff", "\x9b31m".encode(), b"\t=1+1",
    b"<img src=x onerror=alert(1)>", b"$\\frac{", "\u2066x".encode(), b"-rf", b"%%{init}%%",
)  # fmt: skip
COMMANDS = (
    "data check FILE", "data check FILE --json", "data show FILE --out show.png", "check FILE",
    "show FILE", "show run/config.yaml", "summary run --markdown", "summary FILE --graph net.dot",
    "summary run --graph net.mmd", "summary FILE --json", "compare run FILE --markdown",
    "eval run", "eval run --json", "eval run --split train --mistakes m.csv --confusion c.png",
    "predict run MORE", "predict run MORE --json", "predict run MORE --format csv",
    "predict run MORE --reject 0.1", "features run --split train --out f.csv",
    "features run --split train --out f.npz --json", "visualize mistakes run --split train",
    "visualize embedding run --split train --method pca --json",
    "visualize saliency run --image ODD", "visualize fool run --image ODD",
    "visualize maps run --image ODD --json", "visualize patches run", "retrieve run ODD",
    "probe run", "diagnose run --html d.html --tensorboard d --check data",
    "diagnose FILE --check recipe --html e.html --json", "calibrate run",
    "recalibrate run --json", "export run --to safetensors --out x.safetensors",
    "fit --resume run --epochs 2 -v",
)  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of six classes, a run file and a run of one epoch, with images held out."""
    place = tmp_path_factory.mktemp("hostile")
    for number, name in enumerate(CLASSES):
        folder = place / "images" / name
        folder.mkdir(parents=True)
        for index, file in enumerate(FILES):
            picture = Image.effect_noise((8, 8), 30 + number + index).convert("RGB")
            with (folder / os.fsdecode(file + b".png")).open("wb") as opened:
                picture.save(opened, "PNG")
        (place / "images" / name / "torn\nFORGED: \x1b.png").write_bytes(b"")
        (place / "images" / name / "no\nFORGED: \x9b.txt").write_bytes(b"")
    steps = [{"resize": {"size": [8, 8]}}, "normalize"]
    tree: dict[str, Any] = {
        "name": "a$x_{;=1'&",
        "arch": {"layers": [{"conv": {"out": 2, "kernel": 3}}, "batch_norm", "relu", "flatten",
                            {"linear": {"out": "$num_classes"}}]},
        "data": {"name": "image_folder", "root": str(place / "images"), "unreadable": "skip",
                 "split": {"validation": 0.4}, "batch_size": 8,
                 "transforms": {"train": steps, "eval": steps}},
        "train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.01}},
    }  # fmt: skip
    (place / "file <i>.yaml").write_text(yaml.safe_dump(tree))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "argv", ["cnntrain", "fit", "file <i>.yaml", "--out", "run"])
        patch.setenv("OMP_NUM_THREADS", "1")
        with pytest.raises(SystemExit) as end:
            main()
    assert end.value.code == 0
    return place


def _bad(text: str) -> list[str]:
    """What neither a terminal nor a page may get, by Unicode's categories, and forged lines."""
    text = text.replace("\u200d", "").replace("\u200c", "")
    found = {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")}
    return [*map(ascii, found - {"\n", "\t"}), *re.findall(r"^FORGED.*|^.*\t=.*", text, re.M)]


class _Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {tag, *(name for name, _ in attrs if name.startswith("on") or name == "href")}


def _cells(text: str) -> Iterator[str]:
    for row in csv.reader(text.splitlines()):
        yield from row


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in (*value, *value.values()) if isinstance(value, dict) else value:
            yield from _strings(each)


def _check(file: Path) -> None:
    """What a command has written, by its form."""
    if file.suffix not in (".csv", ".html", ".txt", ".log", ".json", ".jsonl", ".dot", ".mmd",
                           ".yaml"):  # fmt: skip
        return
    text = file.read_text("utf-8")
    if file.name == "classes.txt":  # which is read back: one name a line
        assert text.splitlines() == sorted(CLASSES)
        return
    assert not _bad(text), file
    if file.suffix == ".csv":
        assert not [c for c in _cells(text) if re.match(r"[=+@\t]|-(?![\d.e+-]+$)", c)], file
    elif file.suffix == ".html":
        assert not _Tags(text).found & {"script", "onerror", "i", "b"}, file
        assert "&lt;" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_no_name_is_obeyed(command: str, place: Path, monkeypatch: pytest.MonkeyPatch,
                           cnntrain: Callable[..., Any], tmp_path: Path) -> None:  # fmt: skip
    images = place / "images"
    odd = images / CLASSES[1] / os.fsdecode(FILES[2] + b".png")
    here = {"FILE": place / "file <i>.yaml", "MORE": images / CLASSES[0], "ODD": odd}
    (tmp_path / "run").symlink_to(place / "run")
    words = [here.get(word, word) for word in command.split()]
    answer = cnntrain(*words)
    assert answer.code in (0, 3), answer.err
    assert "Traceback" not in answer.err
    assert not _bad(answer.out), command
    assert not _bad(answer.err), command
    if "--json" in words:
        said = set(_strings(json.loads(answer.out)))
        assert not said & {"'=cmd|' C calc'!A0", "\\u202egnp.exe"}, "JSON has the names as they are"
    if "--markdown" in words:
        tags = _Tags(markdown.markdown(answer.out, extensions=["tables"])).found
        assert not tags & {"script", "i", "b", "a", "href"}
    if "csv" in words:
        assert not [c for c in _cells(answer.out) if c.startswith(tuple("=+-@\t"))]
    for file in tmp_path.rglob("*"):
        if file.is_file() and "run" not in file.relative_to(tmp_path).parts:
            _check(file)


def test_files_of_a_run(place: Path) -> None:
    for file in (place / "run").rglob("*"):
        _check(file)
    rows = list(csv.reader((place / "run" / "split.csv").read_text().splitlines()))
    assert len(rows) == 1 + len(CLASSES) * len(FILES)
    assert {row[1] for row in rows} >= {"'=cmd|' C calc'!A0", "\\u202egnp.exe"}


def test_a_checkpoint_with_a_class_that_no_line_can_hold_is_refused(
    place: Path, cnntrain: Callable[..., Any], tmp_path: Path
) -> None:
    state = load(place / "run" / "checkpoints" / "last.pt")
    save(tmp_path / "x.pt", {**state, "classes": ["\x1b[2J", *CLASSES[1:]]})
    answer = cnntrain("predict", tmp_path / "x.pt", place / "images")
    assert answer.code == 4
    assert "has the class '\\x1b[2J', with a control character in its name" in answer.err
