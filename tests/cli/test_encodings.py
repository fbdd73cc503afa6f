"""Commands print names that the encoding of the output lacks, as escapes; nothing is lost."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from cnntrain.cli.app import main
from cnntrain.config.load import load
from cnntrain.fit.fit import fit

ENCODINGS = ("ascii", "cp1252", "latin-1", "shift_jis", "utf-16", "utf-8")
"""Japanese names are in the last three only, an é is not in ascii and shift_jis."""
COMMANDS = (
    "predict RUN IMAGES",
    "predict RUN IMAGES --json",
    "predict RUN IMAGES --format csv",
    "predict RUN IMAGES --html p.html --force",
    "eval RUN",
    "eval RUN --json",
    "eval RUN RUN --compare",
    "eval RUN --mistakes m.csv",
    "data check FILE",
    "data check FILE --json",
    "data show FILE --out s.png --force",
    "check FILE",
    "show FILE",
    "summary RUN",
    "summary RUN --json",
    "compare FILE RUN",
    "diagnose FILE --check data --json",
    "features RUN --out f.csv --force",
    "visualize mistakes RUN --out a.png --force",
    "visualize mistakes RUN --json --out a.png --force",
    "visualize confusion RUN --out a.png --force",
    "retrieve RUN 0 --out a.png --force",
    "probe RUN --out a.png --force",
    "calibrate RUN",
    "export RUN --to safetensors --out a.safetensors --force",
    "list layers conv",
    "predict --help",
    "eval runs/犬",
    "check 犬.yaml",
)
"""But for the seconds in JSON they answer the same each time, so answers can be compared."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run, its run file, and its images: some names are Japanese, one is no text at all."""
    folder = tmp_path_factory.mktemp("名前 é")
    for split in ("train", "val"):
        for name, shade in (("犬", 20), ("été", 220)):
            images = folder / "images" / split / name
            images.mkdir(parents=True)
            for number in range(4):
                # the last validation images are like those of the other class: mistakes
                seen = 240 - shade if (split, number) == ("val", 3) else shade
                picture = Image.new("RGB", (8, 8), (seen + number, seen, number + len(split)))
                picture.save(images / f"写真{number}.png")
    images = folder / "images" / "val" / "犬"
    (images / "写真0.png").rename(images / os.fsdecode(b"\xff.png"))
    (images / "読む.txt").write_text("no image")
    steps = [{"resize": {"size": [8, 8]}}, "normalize"]
    tree = {
        "arch": {"layers": ["flatten", {"linear": {"out": "$num_classes"}}]},
        "compute": {"threads": 1},
        "data": {
            "name": "image_folder",
            "root": str(folder / "images"),
            "batch_size": 4,
            "transforms": {"train": steps, "eval": steps},
        },
        "train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.1}},
        "record": {"tensorboard": False},
    }
    (folder / "犬.yaml").write_text(yaml.safe_dump(tree, allow_unicode=True), encoding="utf-8")
    fit(load(folder / "犬.yaml"), out=folder / "犬", quiet=True)
    return folder


@pytest.fixture
def encoded(place: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], tuple[str, ...]]:
    """`encoded("eval RUN", "cp1252")`: exit code, stdout, stderr in streams of that encoding."""
    names = {"RUN": "犬", "FILE": "犬.yaml", "IMAGES": "images/val"}

    def call(words: str, encoding: str) -> tuple[str, ...]:
        called = [str(place / names[word]) if word in names else word for word in words.split()]
        streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding) for _ in range(2)]
        code = "0"
        with monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["cnntrain", *called])
            patch.setattr(sys, "stdout", streams[0])
            patch.setattr(sys, "stderr", streams[1])
            try:
                main()
            except SystemExit as end:
                code = str(end.code)
        written = []
        for stream in streams:
            stream.flush()
            content = stream.buffer.getvalue()  # type: ignore[attr-defined]  # a BytesIO
            written.append(content.decode(encoding))
        return code, *written

    return call


@pytest.mark.parametrize("words", COMMANDS)
def test_nothing_is_lost(encoded: Callable[[str, str], tuple[str, ...]], words: str) -> None:
    code, out, err = encoded(words, "utf-8")
    assert code == ("2" if words.endswith(("runs/犬", " 犬.yaml")) else "0"), err
    assert out or code == "2"
    draws = ".png" in words  # which takes its time
    for encoding in ENCODINGS[1:2] if draws else ENCODINGS[:-1]:
        answer = encoded(words, encoding)
        assert (answer[0], "Traceback" in answer[2]) == (code, False), answer
        if "--json" in words:
            assert _without_times(answer[1]) == _without_times(out)
            continue
        for text, whole in zip(answer[1:], (out, err), strict=True):
            # the codec's own escapes; Python documents backslashreplace
            assert text == whole.encode(encoding, "backslashreplace").decode(encoding)


def _without_times(text: str) -> object:
    def dropped(pairs: list[tuple[str, object]]) -> dict[str, object]:
        return {key: value for key, value in pairs if key != "seconds"}

    return json.loads(text, object_pairs_hook=dropped)


def test_the_console_of_a_training(
    encoded: Callable[[str, str], tuple[str, ...]], place: Path, tmp_path: Path
) -> None:
    for encoding in ENCODINGS:
        code, out, err = encoded(f"fit FILE --out {tmp_path}/{encoding}-犬", encoding)
        assert (code, "Traceback" in err) == ("0", False), err
        assert f"{encoding}-" in out
