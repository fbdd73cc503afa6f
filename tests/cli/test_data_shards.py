"""`cnntrain data shards`, and trainings on what it wrote: the same numbers as on the folder."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from cnntrain.data import write_shards

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]
Differences = Callable[[Path, Path], list[str]]

TRANSFORMS = {
    "train": [{"random_resized_crop": {"size": 8}}, "horizontal_flip", "normalize"],
    "eval": [{"resize": {"size": [8, 8]}}, "normalize"],
}
TRANSFORMED = {"name": "image_folder", "root": "photos", "batch_size": 8, "memory": "stream",
               "workers": 0, "transforms": TRANSFORMS}  # fmt: skip


@pytest.fixture
def file(run_file: RunFile) -> Path:
    """A run file of a folder of photos/{train,val}/{ant,bee}: 36 and 10 images of many sizes."""
    random = np.random.default_rng(3)
    for split, count in (("train", 18), ("val", 5)):
        for label in ("ant", "bee"):
            folder = Path("photos", split, label)
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = random.integers(0, 256, (10 + number, 14, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return run_file({"data": TRANSFORMED, "train.epochs": 3})


SHARDS = ("-s", "data.name=webdataset", "-s", "data.root=sh")


def written(cnntrain: Cnntrain, file: Path) -> None:
    answer = cnntrain("data", "shards", file, "--out", "sh", "--size", "0.02")
    assert answer.code == 0, answer.err
    assert answer.out == "sh\n"
    assert len(list(Path("sh").glob("train-*.tar"))) > 1


def losses(run: str) -> list[tuple[int, float]]:
    lines = map(json.loads, Path(run, "metrics.jsonl").read_text().splitlines())
    return [(row["step"], row["loss"]) for row in lines if "loss" in row]


def test_with_and_without_workers_it_is_the_training_on_the_folder(
    file: Path, cnntrain: Cnntrain, differences: Differences
) -> None:
    written(cnntrain, file)
    fit = ("fit", file, "--no-report", "--out")
    assert cnntrain(*fit, "folder").code == 0
    for workers in (0, 2):
        run = f"shards{workers}"
        answer = cnntrain(*fit, run, *SHARDS, "-s", f"data.workers={workers}")
        assert answer.code == 0, answer.err
        assert len(losses(run)) > 0
        assert losses(run) == losses("folder")
        last = Path("checkpoints/last.pt")
        found = differences(Path(run, last), Path("folder", last))
        assert {name.split(".")[0] for name in found} == {"config", "fingerprint"}, found


def test_a_run_that_is_cut_off_is_continued_to_the_bit(
    file: Path, cnntrain: Cnntrain, train_tiny: Callable[..., Any], differences: Differences
) -> None:
    """Stopped in the middle of an epoch, and continued where a shard was changed: refused."""
    written(cnntrain, file)
    changes = [word for word in SHARDS if word != "-s"]
    train_tiny(file, out=Path("whole"), overrides=changes)
    train_tiny(file, out=Path("cut"), overrides=changes, stop=7)
    shard = Path("sh/train-000000.tar")
    kept = shard.read_bytes()
    cut = kept.replace(b"ant/", b"bee/")
    shard.write_bytes(cut)
    answer = cnntrain("fit", "--resume", "cut", "--no-report")
    assert answer.code == 3, "the headers' checksums are wrong"
    assert "sh/train-000000.tar is damaged or breaks off" in answer.err
    shard.unlink()
    answer = cnntrain("fit", "--resume", "cut", "--no-report")
    assert answer.code == 4
    assert "train-000000.tar/" in answer.err
    assert "is gone" in answer.err
    shard.write_bytes(kept)
    train_tiny(resumed=Path("cut"))
    last = Path("checkpoints/last.pt")
    assert differences(Path("cut", last), Path("whole", last)) == []


def two(*words: str) -> list[subprocess.Popen[str]]:
    """Both processes, with what torchrun would say in their environment."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "2"}
    fixed = {**os.environ, **places, "OMP_NUM_THREADS": "1"}
    return [
        subprocess.Popen(
            [sys.executable, "-m", "cnntrain", "fit", "--no-report", *words],
            env={**fixed, "RANK": str(index)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(2)
    ]


def test_two_processes_train_on_shards_as_on_the_folder(file: Path, cnntrain: Cnntrain) -> None:
    written(cnntrain, file)
    for run, words in (("folder", ()), ("shards", SHARDS)):
        started = two(str(file), "--out", run, *words)
        answers = [each.communicate(timeout=100) for each in started]
        assert [each.returncode for each in started] == [0, 0], answers
    assert len(losses("shards")) > 0
    assert losses("shards") == losses("folder")


def test_other_commands_name_the_images(file: Path, cnntrain: Cnntrain) -> None:
    written(cnntrain, file)
    assert cnntrain("check", file, *SHARDS).code == 0
    answer = cnntrain("data", "check", file, *SHARDS, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["counts"] == {"train": [18, 18], "validation": [5, 5]}
    assert cnntrain("data", "show", file, *SHARDS).code == 0
    assert cnntrain("fit", file, "--out", "run", *SHARDS).code == 0
    assert re.search(r">[^<]*(ant|bee)/\d\d.png", Path("run/report.html").read_text())
    answer = cnntrain("eval", "run", "--mistakes", "wrong.csv")
    assert answer.code == 0, answer.err
    rows = Path("wrong.csv").read_text().splitlines()[1:]
    assert len(rows) > 0
    assert all(row.startswith("sh/validation-0000") and ".tar/" in row for row in rows)
    assert cnntrain("visualize", "mistakes", "run").code == 0
    assert cnntrain("predict", "run", "photos/val").out.count("photos/val") == 10
    assert cnntrain("features", "run", "--out", "f.npz").code == 0
    assert np.load("f.npz")["files"][0].endswith(".tar/ant/00.png")


def test_a_caching_decoder_and_a_held_out_part(file: Path, cnntrain: Cnntrain) -> None:
    """Of images in no splits those that are held out are a split of the shards."""
    for path in sorted(Path("photos/val").rglob("*.png")):
        path.rename(Path("photos/train", path.parent.name, f"v{path.name}"))
    undivided = ("-s", "data.root=photos/train", "-s", "data.train_folder=.",
                 "-s", "data.split.validation=0.25")  # fmt: skip
    answer = cnntrain("data", "shards", file, "--out", "sh", *undivided)
    assert answer.code == 0, answer.err
    assert "train: 34 images in 1 shard\nvalidation: 12 images in 1 shard\n" in answer.err
    cache = ("-s", "data.cache.short_side=8")
    for run, words in (("folder", undivided), ("shards", SHARDS)):
        assert cnntrain("fit", file, "--no-report", "--out", run, *words, *cache).code == 0
    assert len(losses("shards")) > 0
    assert losses("shards") == losses("folder")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--out", "photos"], 2, "--out photos is not empty, and nothing in it is overwritten"),
        (["--out", "no/where"], 2, "there is no folder no; make it first"),
        ([], 2, "Missing option '--out'"),
        (["--out", "sh", "-s", "data.root=photo"], 3, "did you mean -s data.root=photos?"),
        (["--out", "sh", "--size", "0"], 2, "greater than or equal to 0.001"),
        (["--out", "sh", "-s", "data.root=null", "-s", "data.name=digits"], 3, "train images are "),
    ],
)
def test_what_cannot_be_written(
    file: Path, cnntrain: Cnntrain, words: list[str], code: int, message: str
) -> None:
    answer = cnntrain("data", "shards", file, *words)
    assert (answer.code, answer.out) == (code, ""), answer.err
    assert message in " ".join(answer.err.split())
    assert not Path("sh").exists()


def test_a_full_disk(file: Path, cnntrain: Cnntrain, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(write_shards.tarfile.TarFile, "addfile", full)
    answer = cnntrain("data", "shards", file, "--out", "sh")
    assert answer.code == 7
    assert "cannot write sh: No space left on device; free some space" in answer.err
    assert not Path("sh").exists()
