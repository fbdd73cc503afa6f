"""`predict` for many photographs: lists and patterns, copies by class, a page."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Cnntrain = Callable[..., Any]


@pytest.fixture
def run(cnntrain: Cnntrain, run_file: Callable[..., Path]) -> Path:
    file = run_file({"train.epochs": 2, "train.optimizer.lr": 3e-3})
    assert cnntrain("fit", file, "-q", "--out", "run").code == 0
    for number in range(6):
        Path(f"photos/{number % 2}").mkdir(parents=True, exist_ok=True)
        picture = Image.linear_gradient("L").resize((8, 8)).rotate(60 * number)
        picture.save(f"photos/{number % 2}/{number // 2}.png")
    return Path("run")


def test_lists_and_patterns(cnntrain: Cnntrain, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = cnntrain("predict", run, "photos")
    assert folder.code == 0, folder.err
    assert len(folder.out.splitlines()) == 7
    assert cnntrain("predict", run, "photos/**/*.png").out == folder.out
    names = "\n".join(sorted(map(str, Path("photos").rglob("*.png"))))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(names.encode())))
    answer = cnntrain("predict", run, "-", "photos/0")
    assert answer.out == folder.out
    assert "note: 3 names repeat a file that is given before; it counts once" in answer.err
    answer = cnntrain("predict", run, "photos/*.gif")
    assert (answer.code, answer.out) == (2, "")
    assert "error: no file matches photos/*.gif; " in answer.err


def test_copies_and_a_page(cnntrain: Cnntrain, run: Path) -> None:
    Path("photos/torn.png").write_bytes(b"x")
    words = ("predict", run, "photos", "--reject", "0.5", "--json")
    answer = cnntrain(*words, "--sort-into", "sorted", "--html", "page.html")
    assert answer.code == 3, "one image cannot be read"
    rows = json.loads(answer.out)["predictions"]
    groups: dict[str, list[bytes]] = {}
    for row in rows:
        if row["error"] is None:
            content = Path(row["file"]).read_bytes()
            groups.setdefault(row["class"] or "none of these", []).append(content)
    assert "none of these" in groups
    copies = {
        each.name: [file.read_bytes() for file in sorted(each.iterdir())]
        for each in Path("sorted").iterdir()
    }
    assert {name: sorted(some) for name, some in copies.items()} == {
        name: sorted(some) for name, some in groups.items()
    }
    assert f"copied 6 images into {len(groups)} folder" in answer.err
    page = Path("page.html").read_text()
    assert page.count("<img") == 6
    assert "photos/torn.png: " in page
    # what is there is not overwritten, and nothing is computed before that is said
    for option, place in (("--sort-into", "sorted"), ("--html", "page.html")):
        answer = cnntrain("predict", "nowhere", "photos", option, place)
        assert (answer.code, answer.out) == (2, "")
        assert f"{place} " in answer.err


def test_the_data_are_not_needed(
    cnntrain: Cnntrain, run_file: Callable[..., Path], run: Path
) -> None:
    Path("photos").rename("images")
    steps = [{"resize": {"size": [8, 8]}}, "normalize"]
    data = {"name": "image_folder", "root": "images", "batch_size": 2, "channels": 1}
    lists = {"train": steps, "eval": steps}
    changes = {"data": {**data, "transforms": lists, "split": {"validation": 2}}, "train.epochs": 1}
    assert cnntrain("fit", run_file(changes), "-q", "--out", "other").code == 0
    Path("images").rename("moved")
    answer = cnntrain("predict", "other", "moved", "--json")
    assert answer.code == 0, answer.err
    found = json.loads(answer.out)["predictions"]
    assert {each["class"] for row in found for each in row["probabilities"]} == {"0", "1"}


def test_shipped_weights_without_names_need_no_data(cnntrain: Cnntrain, tmp_path: Path) -> None:
    weights = Path(os.environ.get("CNNTRAIN_DATA", ""), "weights/resnet20-cifar10-12fca82f.th")
    if not weights.is_file():
        pytest.skip("CNNTRAIN_DATA lacks the weights")
    Image.new("RGB", (32, 32)).save("a.png")
    changes = ("-s", f"finetune.weights.file={weights}")
    answer = cnntrain("predict", "resnet20_pretrained", "a.png", *changes, "--top", "10")
    assert answer.code == 0, answer.err
    assert all(f"{name} " in answer.out for name in ("airplane", "automobile", "bird", "truck"))
