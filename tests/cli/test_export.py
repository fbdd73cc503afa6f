"""`cnntrain export`, and the exported file used by a program that knows nothing of cnntrain."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

PAGE = Path(__file__).parents[2] / "docs" / "export.md"
[OUTSIDE] = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)

SMALL = {
    "name": "insects",
    "arch.layers": [
        {"conv": {"out": 8, "kernel": 5, "stride": 2}},
        "batch_norm",
        "relu",
        {"max_pool": {"kernel": 3, "stride": 2}},
        {"conv": {"out": 16}},
        "relu",
        "global_avg_pool",
        {"linear": {"out": "$num_classes"}},
    ],
    "train.epochs": 1,
}


def insects(root: Path) -> dict[str, Any]:
    """A small network on photographs of ants and bees."""
    transforms = {
        "train": [{"random_resized_crop": {"size": 56}}, "normalize"],
        "eval": [{"resize": {"size": 64}}, {"center_crop": {"size": 56}}, "normalize"],
    }
    data = {"name": "image_folder", "root": str(root), "workers": 0, "transforms": transforms}
    return {**SMALL, "data": data}


def test_a_program_outside_gives_the_same_class_for_every_image(
    cnntrain: Cnntrain, run_file: RunFile, real_data: Path
) -> None:
    """What `eval` counts, what `predict` says and what the outside program says is the same."""
    root = real_data / "hymenoptera"
    assert cnntrain("fit", run_file(insects(root)), "-q", "--out", "run").code == 0
    answer = cnntrain("export", "run", "--out", "insects.onnx")
    assert answer.code == 0, answer.err
    answer = cnntrain("predict", "run", root / "val", "--json")
    expected = {each["file"]: each["class"] for each in json.loads(answer.out)["predictions"]}
    assert set(expected.values()) == {"ants", "bees"}
    Path("outside.py").write_text(OUTSIDE)
    command = [sys.executable, "outside.py", "insects.onnx", *expected]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = dict(line.rsplit(" ", 2)[:2] for line in done.stdout.splitlines())
    assert found == expected

    evaluated = json.loads(cnntrain("eval", "run", "--split", "validation", "--json").out)
    assert evaluated["images"] == len(expected) >= 150
    counts = Counter((Path(file).parent.name, name) for file, name in found.items())
    names = ("ants", "bees")
    assert evaluated["confusion"] == [[counts[true, name] for name in names] for true in names]


def test_one_line_for_each_file(cnntrain: Cnntrain, run_file: RunFile) -> None:
    assert cnntrain("fit", run_file({"train.epochs": 1}), "-q", "--out", "run").code == 0
    answer = cnntrain("export", "run", "--to", "onnx", "--to", "safetensors")
    assert answer.code == 0
    first, second = answer.out.splitlines()
    line = r"tiny\.{}: [0-9.]+ kB, {} the network on 8 images"
    assert re.fullmatch(line.format("onnx", r"logits within [0-9]\.[0-9]e-0[5-8] of"), first), first
    assert re.fullmatch(line.format("safetensors", "the same logits as"), second), second
    answer = cnntrain("export", "run", "--to", "safetensors")
    assert answer.code == 2
    assert "tiny.safetensors already exists" in answer.err
    answer = cnntrain("export", "run", "--to", "safetensors", "--force", "--json")
    assert (answer.code, answer.err) == (0, "")
    [file] = json.loads(answer.out)["files"]
    path = Path("tiny.safetensors")
    assert file == {
        "format": "safetensors",
        "path": str(path),
        "bytes": path.stat().st_size,
        "largest_difference": 0.0,
        "images": 8,
        "model": None,
        "rescored": None,
        "unknown_steps": [],
    }


def test_what_it_says_next_can_be_pasted(cnntrain: Cnntrain, run_file: RunFile) -> None:
    """Each command runs in a shell; networks print as many logits as there are classes."""
    file = run_file({"train.epochs": 1, "name": "it's"})
    assert cnntrain("fit", file, "-q", "--out", "run").code == 0
    formats = ("onnx", "torch_export", "safetensors")
    answer = cnntrain("export", "run", *(word for form in formats for word in ("--to", form)))
    inside = cnntrain("export", "run", "--include", "preprocessing", "--out", "inside.onnx")
    said = [pasted(line) for line in [*answer.err.splitlines(), *inside.err.splitlines()]]
    assert [len(re.findall(r"\d\.\d", text)) for text in said] == [3, 3, 0, 3]
    assert "'output.weight'" in said[2]


def pasted(line: str) -> str:
    """What the command after `next` prints in a shell."""
    command = line[6:].replace("python", sys.executable, 1)
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=True)
    return done.stdout


def test_fewer_bits_are_scored_on_the_validation_images(
    cnntrain: Cnntrain, run_file: RunFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    """24 validation images; the share that is right before is what `eval` says."""
    assert cnntrain("fit", run_file({"train.epochs": 1}), "-q", "--out", "run").code == 0
    scored = json.loads(cnntrain("eval", "run", "--split", "validation", "--json").out)
    answer = cnntrain("export", "run", "--precision", "int8", "--json")
    assert answer.code == 0, answer.err
    [file] = json.loads(answer.out)["files"]
    assert file["path"] == "tiny.int8.onnx"
    found = file["rescored"]
    assert (found["split"], found["images"]) == ("validation", 24)
    assert found["before"] == scored["top1"]
    assert found["calibrated_on"] == "24 validation images"
    assert 0 < found["mean_difference"] < found["largest_difference"] < 1
    assert found["drop"]["low"] <= found["before"] - found["after"] <= found["drop"]["high"]
    answer = cnntrain("export", "run", "--precision", "float16")
    assert answer.code == 0, answer.err
    first, second = answer.out.splitlines()
    assert re.match(r"tiny\.float16\.onnx: .* the network's class for 100\.00 % of 24 valid", first)
    share = f"{100 * scored['top1']:.2f} %"
    assert second.startswith(f"top-1 {share} before, {share} after on 24 validation images")
    monkeypatch.setattr("cnntrain.export.rescored.NOTABLE", -1)  # as if any drop were large
    answer = cnntrain("export", "run", "--precision", "float16", "--force")
    worse = f"note: tiny.float16.onnx is worse than the network: {share} before, {share} after"
    assert (answer.code, answer.err.splitlines()[0]) == (0, worse)
    answer = cnntrain("export", "run", "-s", "data.images=96")
    assert (answer.code, "cannot change when a network is exported" in answer.err) == (2, True)


def test_back_to_torchvision(cnntrain: Cnntrain, run_file: RunFile) -> None:
    """torchvision's own resnet18 loads the file strictly; its description lies beside it."""
    changes = {
        "arch": "archs/resnet18.yaml",
        "data.size": 32,
        "data.channels": 3,
        "data.images": 24,
        "data.split.validation": None,
        "data.test_images": 6,
        "train.epochs": 1,
    }
    assert cnntrain("fit", run_file(changes), "-q", "--out", "run").code == 0
    answer = cnntrain("export", "run", "--to", "torchvision", "--out", "net.pth")
    assert answer.code == 0
    assert pasted(answer.err.splitlines()[-1]) == "<All keys matched successfully>\n"
    call = "torchvision.models.resnet18(num_classes=3)"
    first, second = answer.out.splitlines()
    assert re.fullmatch(
        rf"net\.pth: 44\.\d MB, {re.escape(call)}, the same logits as the network on 8 images",
        first,
    )
    assert second.startswith("net.json: ")
    model = torchvision.models.resnet18(num_classes=3)
    model.load_state_dict(torch.load("net.pth", weights_only=True), strict=True)
    about = json.loads(Path("net.json").read_text())
    assert about["model"] == call
    assert about["classes"] == ["class0", "class1", "class2"]
    assert [step["name"] for step in about["preprocessing"]] == ["rescale", "normalize"]
