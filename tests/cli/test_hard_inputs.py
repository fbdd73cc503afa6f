"""Inputs that other programs are known to stumble over: what each command answers to them."""

from __future__ import annotations

import json
import types
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

import cnntrain as package

Cnntrain = Callable[..., Any]

NET = {"layers": [{"conv": {"out": 4, "kernel": 3}}, "batch_norm", "relu", "global_avg_pool",
                  {"linear": {"out": "$num_classes"}}]}  # fmt: skip
NUMBERS = {"mean": [0.5] * 3, "std": [0.3] * 3}
STEPS = [{"resize": {"size": [16, 16]}}, {"normalize": NUMBERS}]


@pytest.fixture(autouse=True)
def run_file() -> None:
    data = {"name": "image_folder", "root": "images", "batch_size": 4, "workers": 0}
    tree = {
        "arch": NET,
        "data": {**data, "transforms": {"train": STEPS, "eval": STEPS}},
        "train": {"epochs": 12, "optimizer": {"name": "sgd", "lr": 0.3}},
        "compute": {"device": "cpu", "threads": 1},
    }
    Path("run.yaml").write_text(yaml.safe_dump(tree))


def draw(counts: Mapping[str, int]) -> None:
    """Images, all different, of class folders: red of the first class, then green, then blue."""
    for folder, count in counts.items():
        Path("images", folder).mkdir(parents=True)
        order = sorted({Path(name).name for name in counts})
        for number in range(count):
            colour = [number, number, number]
            colour[order.index(Path(folder).name) % 3] = 250 - ("train" in folder)
            Image.new("RGB", (20, 16), tuple(colour)).save(f"images/{folder}/{number}.png")


def test_unreadable_images_that_are_skipped_are_listed(cnntrain: Cnntrain) -> None:
    draw({f"{split}/{label}": 6 for split in ("train", "val") for label in "ab"})
    folder = Path("images/train/a")
    (folder / "zero.jpg").touch()
    (folder / "html.jpg").write_text("<html>404</html>")
    Image.effect_noise((64, 64), 90).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:900])
    names = ("cut.jpg", "html.jpg", "zero.jpg")
    stopped = cnntrain("fit", "run.yaml", "--out", "stopped", "--epochs", "1")
    assert stopped.code == 3
    answer = cnntrain("fit", "run.yaml", "-s", "data.unreadable=skip", "--out", "r", "--epochs=1")
    assert answer.code == 0, answer.err
    assert "12 train, 12 validation images" in answer.err
    assert "3 left out" in answer.err
    for text in (answer.err, Path("r/left_out.txt").read_text()):
        assert all(f"images/train/a/{name}" in text for name in names)
    checked = cnntrain("data", "check", "run.yaml")
    assert checked.code == 3
    assert sum(line.startswith("unreadable: ") for line in checked.out.splitlines()) == 3


def test_a_class_that_validation_lacks_has_no_score(cnntrain: Cnntrain) -> None:
    """scikit-learn's macro recall, precision and F1 of what is all right are 1."""
    draw({"train/a": 8, "train/b": 8, "train/c": 8, "val/a": 4, "val/c": 4})
    answer = cnntrain("fit", "run.yaml", "--out", "r")
    assert answer.code == 0, answer.err
    assert "images/val has no images of b" in answer.err
    lines = [line.split() for line in cnntrain("eval", "r").out.splitlines() if line]
    rows = {words[0]: words[1:] for words in reversed(lines)}  # the table is before the confusion
    assert rows["top-1"][0] == "100.00%", "else this test has nothing to show"
    assert rows["b"] == ["0", "-", "-", "-"]
    assert rows["mean"] == ["8", "100.00%", "100.00%", "100.00%"]


def test_two_folders_of_one_name_are_one_class(cnntrain: Cnntrain) -> None:
    composed, decomposed = (unicodedata.normalize(form, "café") for form in ("NFC", "NFD"))
    draw({f"{split}/{label}": 5 for split in ("train", "val")
          for label in (composed, decomposed, "thé")})  # fmt: skip
    answer = cnntrain("data", "check", "run.yaml")
    rows = [line.split() for line in answer.out.splitlines()]
    assert ["café", "10", "10"] in rows
    assert ["total", "15", "15"] in rows
    assert "they are one class" in answer.out


def test_names_that_are_not_latin(cnntrain: Cnntrain) -> None:
    draw({f"{split}/{label}": 4 for split in ("train", "val") for label in ("犬", "猫")})
    assert cnntrain("fit", "run.yaml", "--out", "r", "--epochs", "2").code == 0
    assert "犬" in cnntrain("eval", "r").out
    assert "犬" in cnntrain("predict", "r", "images/val/犬/0.png").out


def test_remarks_are_made_once(cnntrain: Cnntrain) -> None:
    draw({f"{split}/{label}": 4 for split in ("train", "val") for label in ("Cat", "cat")})
    assert cnntrain("data", "check", "run.yaml").out.count("nothing but capital letters") == 1
    answer = cnntrain("data", "check", "run.yaml", "-s", "data.validation_folder=false")
    assert "no validation images; -s data.split.validation=0.2 holds some out" in answer.out


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("args.pt", {"a": types.SimpleNamespace(lr=1)}, "tensors: types.SimpleNamespace; such a"),
        ("best.pt", {"acc": np.float64(0.9)}, "holds no weights by name; its keys are: acc; save"),
        ("list.pt", [1, 2], "holds a list, not a dictionary; save `model.state_dict()`"),
        ("w.bin", None, "w.bin has 0 of the "),
        ("w.npz", "npz", "w.npz holds arrays of NumPy's (.npz); save `model.state_dict"),
        ("notes.txt", "text", "notes.txt is not a file of weights: it begins neither like "),
    ],
)
def test_weights_of_other_programs(cnntrain: Cnntrain, name: str, content: Any, says: str) -> None:
    """The message is about such a file, not about a run of cnntrain; it has no colour codes."""
    if content is None:
        save_file({"weight": torch.zeros(3)}, name)
    elif content == "npz":
        np.savez(name, weight=np.zeros(3))
    elif content == "text":
        Path(name).write_text("weights")
    else:
        torch.save(content, name)
    draw({"a": 2, "b": 2})
    answer = cnntrain("eval", "run.yaml", "-s", f"finetune.weights.file={name}")
    assert answer.code == 4
    assert says in answer.err
    assert "previous.pt" not in answer.err
    assert "x1b" not in answer.err


@pytest.mark.parametrize("prefix", ["module._orig_mod.", "_orig_mod.module."])
@pytest.mark.parametrize("wrapper", ["", "net", "model"])
def test_weights_as_other_programs_wrap_them(cnntrain: Cnntrain, prefix: str, wrapper: str) -> None:
    """Compiled and distributed networks, next to the error and the epoch: the same answers."""
    draw({f"{split}/{label}": 5 for split in ("train", "val") for label in "ab"})
    assert cnntrain("fit", "run.yaml", "--out", "r", "--epochs=1").code == 0
    net = package.load("r").net
    state = {f"{prefix}{name}": value for name, value in net.state_dict().items()}
    torch.save({wrapper: state, "acc": 91.7, "epoch": 3} if wrapper else state, "w.pt")
    answer = cnntrain("eval", "run.yaml", "-s", "finetune.weights.file=w.pt", "--json")
    assert answer.code == 0, answer.err
    ours, theirs = (json.loads(found.out) for found in (cnntrain("eval", "r", "--json"), answer))
    assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-5)


def grey(values: np.ndarray, path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values.astype(np.uint16)).save(path)


def probabilities(answer: Any) -> list[str]:
    return [json.dumps(row["probabilities"]) for row in json.loads(answer.out)["predictions"]]


def test_images_of_16_bits(cnntrain: Cnntrain) -> None:
    """PNG, TIFF and PGM give the same answer, that of the high byte; 12 bits are noticed."""
    random = np.random.default_rng(0)
    for split in ("train", "val"):
        for number, (label, low) in enumerate((("dark", 0), ("light", 32768))):
            for index in range(6):
                values = random.integers(low, low + 32768, (16, 16))
                grey(values, f"images/{split}/{label}/{6 * number + index}.png")
    answer = cnntrain("fit", "run.yaml", "--out", "r", "--epochs=3")
    assert answer.code == 0, answer.err
    assert "best" in answer.err
    for name in ("a.png", "a.tif", "a.pgm"):
        grey(values, f"photos/{name}")
    Image.fromarray((values >> 8).astype(np.uint8)).save("photos/high_byte.png")
    answers = probabilities(cnntrain("predict", "r", "photos", "--json"))
    assert len(answers) == 4
    assert len({*answers}) == 1, answers
    assert answers[0].startswith('[{"class": "light"')
    for path in Path("images").rglob("*.png"):
        grey(random.integers(0, 4096, (16, 16)), str(path))
    checked = cnntrain("data", "check", "run.yaml")
    assert "if they hold 12 bits, set -s data.bits=12" in checked.out
    assert "16 of 256 levels" not in cnntrain("data", "check", "run.yaml", "-s", "data.bits=12").out


def test_tiffs_that_are_turned(cnntrain: Cnntrain) -> None:
    """Orientation 6 lies on its side: 32 x 48 pixels in the file are an image 48 high, 32 wide."""
    for split in ("train", "val"):
        for number, label in enumerate("ab"):
            Path("images", split, label).mkdir(parents=True)
            for index in range(4):
                image = Image.new("RGB", (48, 32), (200 * number, 9 * index, "tv".index(split[0])))
                image.paste((255, 255, 255), (0, 0, 24, 32))
                image.save(f"images/{split}/{label}/{index}.tif", tiffinfo={0x0112: 6})
    steps = (
        "[{center_crop: {size: %s}}, {normalize: {mean: [0.5, 0.5, 0.5], std: [0.3, 0.3, 0.3]}}]"
    )
    given = [f"-sdata.transforms.{split}={steps}" for split in ("train", "eval")]
    assert "48x32 (8)" in cnntrain("data", "check", "run.yaml").out
    lying = cnntrain("fit", "run.yaml", *[each % [32, 48] for each in given], "--out", "no")
    assert lying.code == 2
    assert "a crop of 32 x 48 is larger than the image of 48 x 32" in lying.err
    answer = cnntrain("fit", "run.yaml", *[each % [48, 32] for each in given], "--out", "r")
    assert answer.code == 0, answer.err
    image.transpose(Image.Transpose.ROTATE_270).save("upright.png")  # 90 degrees clockwise
    image.save("turned.tif", tiffinfo={0x0112: 6})
    upright, turned = probabilities(cnntrain("predict", "r", "upright.png", "turned.tif", "--json"))
    assert upright == turned


def test_a_table_from_a_spreadsheet_of_windows(cnntrain: Cnntrain) -> None:
    """Its encoding is cp1252; what the message says can be pasted."""
    draw({"Käfer": 8, "Biene": 8})
    lines = ["path;label", *(f"{path.relative_to('images')};{path.parent.name}"
                             for path in sorted(Path("images").rglob("*.png")))]  # fmt: skip
    Path("images/table.csv").write_bytes("\r\n".join(lines).encode("cp1252"))
    words = ["fit", "run.yaml", "-s", "data.name=csv", "-s", "data.file=images/table.csv"]
    words += ["-s", "data.split.validation=0.25", "--epochs=1", "--out=r"]
    refused = cnntrain(*words)
    assert refused.code == 3
    assert "-s data.encoding=cp1252 (Windows)" in refused.err
    answer = cnntrain(*words, "-s", "data.encoding=cp1252")
    assert answer.code == 0, answer.err
    assert package.load("r").classes == ("Biene", "Käfer")


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("data.batch_size=1,024", "not the string '1,024'; write 1024"),
        ("data.classes=[1, 2]", "not [1, 2]; put each in quotes: ['1', '2'] (a zero in"),
        ("data.drop_last=False", "not the string 'False'; write false"),
        ("data.root=null", "'root' must be a string, not null"),
    ],
)
def test_values_as_others_write_them(cnntrain: Cnntrain, given: str, says: str) -> None:
    draw({"a": 2, "b": 2})
    answer = cnntrain("check", "run.yaml", "-s", given)
    assert answer.code == 2
    assert says in answer.err


def test_training_images_alone(cnntrain: Cnntrain) -> None:
    """The last weights count; nothing is said to be the best, or how good it is on others."""
    draw({"train/a": 6, "train/b": 6})
    answer = cnntrain("fit", "run.yaml", "--out", "r", "--epochs=2")
    assert answer.code == 0, answer.err
    remedy = "-s data.split.validation=0.2"
    notes = [line for line in answer.err.splitlines() if line.startswith("note")]
    assert [remedy in note for note in notes] == [True, True], "before and after"
    assert "on others is unknown" in notes[1]
    assert not any(line.startswith("best") for line in answer.err.splitlines())
    assert json.loads(Path("r/summary.json").read_text())["best_epoch"] is None
    evaluated = cnntrain("eval", "r")
    assert evaluated.out.startswith("r/checkpoints/last.pt (epoch 2) on 12 train images\n")
    assert "likely to be larger" in evaluated.err
    page = Path("r/report.html").read_text("utf-8")
    assert "on others it is unknown" in page
    for text in (evaluated.out, page):
        assert "confidence" not in text, "an interval says nothing of images that were learnt"
    quiet = cnntrain("fit", "run.yaml", "-q", "--out", "q", "--epochs=1")
    assert "on others is unknown; q\n" in quiet.err
    held = cnntrain("fit", "run.yaml", *remedy.split(), "--out", "h", "--epochs=1")
    assert "is unknown" not in held.err
    assert "confidence" in Path("h/report.html").read_text("utf-8")


def test_a_batch_that_is_larger_than_the_data(cnntrain: Cnntrain) -> None:
    draw({"train/a": 4, "train/b": 4})
    answer = cnntrain("fit", "run.yaml", "-s", "data.batch_size=1000", "--epochs=1", "--out=r")
    assert "a batch has 8 images, not 1,000" in answer.err


def test_images_that_are_too_small_for_a_network(cnntrain: Cnntrain) -> None:
    """VGG halves an image five times: 32 pixels are the least (Simonyan and Zisserman 2014)."""
    draw({"a": 2, "b": 2})
    answer = cnntrain("check", "run.yaml", "-s", "arch=archs/vgg_a.yaml")
    assert answer.code == 2
    assert "make the images 32x32 or larger in data.transforms (now 16x16)" in answer.err


def test_quiet_is_quiet(cnntrain: Cnntrain) -> None:
    draw({"train/a": 4, "train/b": 4})
    Path("images/train/loose.png").touch()
    answer = cnntrain("fit", "run.yaml", "-q", "--epochs=1", "--out=r", "-s", "data.batch_size=99")
    assert answer.out == "r\n"
    assert len(answer.err.splitlines()) == 1
