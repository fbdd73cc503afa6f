"""Every file that a command writes is whole or not there, also where the disk is full."""

from __future__ import annotations

import builtins
import errno
import io
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib.font_manager  # noqa: F401  # finds the fonts before the cache is moved
import numpy as np
import pytest
import yaml
from PIL import Image

from cnntrain.config.load import load
from cnntrain.core.choices import PICTURES
from cnntrain.fit.fit import fit

Cnntrain = Callable[..., Any]

NET = [
    {"conv": {"out": 6, "kernel": 5, "padding": "same"}},
    *("batch_norm", "relu", "max_pool", "global_avg_pool"),
    {"linear": {"out": "$num_classes"}, "as": "output"},
]
COMMANDS = {
    "summary FILE --graph": ("net.dot", "net.mmd", "net.svg"),
    "summary FILE --coverage": ("seen.png",),
    "compare RUN RUN --representations --images 40 --out": ("alike.png",),
    "new --out": ("starter.yaml",),
    "data show FILE --out": ("sheet.png", "sheet.jpg"),
    "diagnose FILE --check connections --html": ("page.html",),
    "diagnose FILE --check connections --tensorboard": ("board",),
    "eval RUN --confusion": ("confusion.png",),
    "eval RUN --split train --mistakes": ("mistakes.csv",),
    "report RUN --out": ("page.html",),
    "predict RUN PHOTO --html": ("page.html",),
    "predict RUN PHOTO --sort-into": ("sorted",),
    "features RUN --out": ("features.npz", "features.csv", "features.parquet"),
    "export RUN --to onnx --out": ("net.onnx",),
    "export RUN --to torch_export --out": ("net.pt2",),
    "export RUN --to safetensors --out": ("net.safetensors",),
    "probe RUN --out": ("probe.png",),
    "retrieve RUN 3 --out": ("retrieve.svg",),
    **{
        f"visualize {entry.name} RUN --out": ("a.png",)
        for entry in PICTURES.entries()
        if "command" not in entry.options and "classes" in entry.options.get("forms", ("classes",))
    },
}
"""The commands, with the files that they are to write; FILE, RUN and PHOTO are put in."""
PLACES = {"FILE": "small.yaml", "RUN": "run", "PHOTO": "photo.png"}
SPACE = 300
"""Bytes that are left on the disk: some of each file can be written."""
ALL = [(words, file) for words, files in COMMANDS.items() for file in files]


class _Filling(io.FileIO):
    """A file on a disk that has so many bytes left."""

    left = 0

    def write(self, content: Any) -> int:
        """Write what there is space for."""
        content = bytes(content)
        there = super().write(content[: self.left])
        self.left -= there
        if there < len(content):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return there


@contextmanager
def filling_disk(place: Path, left: int) -> Iterator[None]:
    """What is written to files of this folder meanwhile finds that much space."""
    opened: Callable[..., Any] = io.open

    def instead(file: Any, mode: str = "r", *others: Any, **named: Any) -> Any:
        is_there = not isinstance(file, int) and Path(file).resolve().is_relative_to(place)
        if not is_there or "r" in mode:
            return opened(file, mode, *others, **named)
        filling = _Filling(file, mode.replace("b", ""))
        filling.left = left
        binary = io.BufferedWriter(filling)
        return binary if "b" in mode else io.TextIOWrapper(binary, encoding="utf-8")

    io.open = builtins.open = instead  # type: ignore[assignment]
    try:
        yield
    finally:
        io.open = builtins.open = opened  # type: ignore[assignment]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    data = {"name": "synthetic", "size": 12, "images": 96, "classes": 4, "test_images": 40}
    tree = {
        "arch": {"layers": NET},
        "compute": {"threads": 1},
        "data": {**data, "batch_size": 16, "validation": 16},
        "train": {"epochs": 1, "optimizer": {"name": "sgd", "lr": 0.05}},
        "record": {"tensorboard": False},
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(tree))
    fit(load(folder / "small.yaml"), out=folder / "run", quiet=True)
    noise = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "photo.png")
    return folder


@pytest.fixture(autouse=True)
def _dot(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A program that draws graphs, by copying them: Graphviz need not be installed."""
    program = tmp_path_factory.mktemp("bin") / "dot"
    program.write_text("#!/bin/sh\ncat\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)


@pytest.mark.parametrize(("words", "file"), ALL, ids=[f"{words} {file}" for words, file in ALL])
def test_on_a_disk_that_fills_up(
    cnntrain: Cnntrain, trained: Path, tmp_path: Path, words: str, file: str
) -> None:
    places = {name: trained / place for name, place in PLACES.items()}
    called = [places.get(word, word) for word in [*words.split(), file]]
    with filling_disk(tmp_path, SPACE):
        answer = cnntrain(*called)
    assert answer.code == 7, answer.err
    [error] = [line for line in answer.err.splitlines() if line.startswith("error: ")]
    assert f"cannot write {file}" in error
    assert "No space left on device" in error
    assert "Traceback" not in answer.err
    assert files_in(tmp_path) == []
    if words.startswith(("visualize", "export")):  # which take their time, and are swept elsewhere
        return
    answer = cnntrain(*called)
    assert answer.code == 0, answer.err
    [written] = files_in(tmp_path)
    assert (tmp_path / file) in (written, *written.parents)
    assert written.stat().st_size > SPACE, "there would have been enough"


def files_in(folder: Path) -> list[Path]:
    """Without those of libraries, which have a folder for caches."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in found if not path.is_relative_to(folder / "cache")]


def test_the_sweep_has_every_option_that_names_one_path() -> None:
    command, named = "", set()
    for line in Path(__file__).with_name("flags.txt").read_text().splitlines():
        if line.startswith("cnntrain "):
            command = line.removeprefix("cnntrain ")
        elif re.match(r"    --\S+: Path", line):
            named.add(f"{command} {line.split(':')[0].strip()}")
    others = r" (FILE|RUN|PHOTO|3|--representations|--(check|to|split|images) \w+)"
    swept = {re.sub(others, "", words) for words in COMMANDS}
    # test_data_shards.py has a full disk; `predict --out` needs a network that gives images, and
    # goes the way of `--sort-into`
    elsewhere = {"fit --out", "data shards --out", "predict --out"}
    pictures = ("neighbours", "points", "reconstructions", "scatter")
    other_targets = {f"visualize {name} --out" for name in pictures}
    assert named == swept | elsewhere | other_targets


def test_an_old_file_stays_as_it_was(cnntrain: Cnntrain, trained: Path, tmp_path: Path) -> None:
    Path("c.png").write_bytes(b"old")
    with filling_disk(tmp_path, SPACE):
        assert cnntrain("eval", trained / "run", "--confusion", "c.png").code == 7
    assert Path("c.png").read_bytes() == b"old"
