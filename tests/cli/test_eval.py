"""`eval` and `predict` with several views, several networks, and weights without a run."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

CONFIG = Path(__file__).parents[2] / "configs" / "resnet20_pretrained.yaml"
WEIGHTS = Path("weights") / "resnet20-cifar10-12fca82f.th"
CROPPED = [{"center_crop": {"size": 6}}, "normalize"]


@pytest.fixture
def run(cnntrain: Cnntrain, run_file: RunFile) -> Path:
    changes = {"train.epochs": 1, "data.transforms": {"train": CROPPED, "eval": CROPPED}}
    answer = cnntrain("fit", run_file(changes), "-q", "--out", "one")
    assert answer.code == 0, answer.err
    return Path("one")


@pytest.fixture
def other(cnntrain: Cnntrain, run_file: RunFile) -> Path:
    answer = cnntrain("fit", run_file({"train.epochs": 1, "seed": 1}), "-q", "--out", "other")
    assert answer.code == 0, answer.err
    return Path("other")


def test_ten_crops(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("eval", run, "--crops", "ten")
    assert answer.code == 0
    assert answer.err.startswith("note: half of the views are mirror images")
    first = answer.out.splitlines()[0]
    assert first == "one/checkpoints/best.pt (epoch 1) on 30 test images, 10 views of each"
    found = json.loads(cnntrain("eval", run, "--crops", "ten", "--json").out)
    assert (found["crops"], found["views"], found["images"]) == ("ten", 10, 30)
    assert f"({found['correct']} of 30 right)" in answer.out
    assert found["checkpoint"] == "one/checkpoints/best.pt"
    assert not found["selected_the_weights"]


def test_a_committee(cnntrain: Cnntrain, run: Path, other: Path) -> None:
    answer = cnntrain("eval", run, other, "--confusion", "c.png")
    assert answer.code == 0
    found = json.loads(cnntrain("eval", run, other, "--json").out)
    lines = answer.out.splitlines()
    assert lines[0] == "2 networks on 30 test images"
    assert lines[1].split() == ["network", "top-1", "error", "loss"]
    for line, folder, member in zip(lines[2:4], (run, other), found["members"], strict=True):
        alone = json.loads(cnntrain("eval", folder, "--json").out)
        assert member["correct"] == alone["correct"]
        assert line.split()[:3] == [member["checkpoint"], "(epoch", "1)"]
        assert line.split()[4] == f"{alone['error']:.2%}"
    assert lines[4].split()[0] == "together"
    share = found["disagreements"] / 30
    assert lines[5] == f"they disagree on {found['disagreements']} images ({share:.2%})"
    assert Path("c.png").is_file()


@pytest.fixture
def weak(cnntrain: Cnntrain, run_file: RunFile) -> Path:
    """A network that has hardly learnt, so that some images are wrong."""
    file = run_file({"train.epochs": 1, "train.optimizer.lr": 1e-4})
    assert cnntrain("fit", file, "-q", "--out", "weak").code == 0
    return Path("weak")


def test_it_is_said_that_images_selected_the_weights(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("eval", run, "--split", "validation")
    assert answer.err.startswith("note: these images selected the epoch")
    answer = cnntrain("eval", run, "--split", "validation", "--json")
    assert json.loads(answer.out)["selected_the_weights"]


def test_the_last_epoch_is_not_selected_by_images(cnntrain: Cnntrain, run_file: RunFile) -> None:
    file = run_file({"train.epochs": 1, "train.select": "last"})
    assert cnntrain("fit", file, "-q", "--out", "last").code == 0
    answer = cnntrain("eval", "last", "--split", "validation", "--json")
    assert "selected" not in answer.err
    assert not json.loads(answer.out)["selected_the_weights"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--scales", "32"], "--scales has no effect without --crops dense; add it"),
        (["--crops", "dense", "--scales", "8,x"], "--scales 8,x is not a list of lengths"),
        (["--crops", "dense", "--scales", "8,9,8"], "--scales 8,9,8 has a length twice"),
        (["--crops", "dense", "--scales", "5"], "the scale 5 is smaller than the 6 that "),
        (["--crops", "five"], "'five' is not one of 'center', 'ten', '144', 'dense'"),
        (["--with", "other"], "No such option: --with"),
    ],
)
def test_what_eval_cannot_obey(cnntrain: Cnntrain, run: Path, words: list[str], says: str) -> None:
    answer = cnntrain("eval", run, *words)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err


def test_a_member_without_a_crop(cnntrain: Cnntrain, run: Path, other: Path) -> None:
    answer = cnntrain("eval", run, other, "--crops", "ten")
    assert answer.code == 2
    assert answer.err == (
        "error: other/checkpoints/best.pt: ten crops are cut where a center_crop is, and the "
        "preprocessing has none (normalize); use --crops center, or train with a center_crop in "
        "data.transforms.eval\n"
    )


@pytest.fixture
def image() -> Path:
    Image.linear_gradient("L").resize((8, 8)).rotate(30).save("image.png")
    return Path("image.png")


def probabilities(answer: Any) -> dict[str, float]:
    assert answer.code == 0, answer.err
    [found] = json.loads(answer.out)["predictions"]
    return {each["class"]: each["probability"] for each in found["probabilities"]}


def test_predictions_of_two_networks_are_averaged(
    cnntrain: Cnntrain, run: Path, other: Path, image: Path
) -> None:
    one = probabilities(cnntrain("predict", run, image, "--json"))
    two = probabilities(cnntrain("predict", other, image, "--json"))
    both = probabilities(cnntrain("predict", run, image, "--with", other, "--json"))
    for name, value in both.items():
        assert value == pytest.approx((one[name] + two[name]) / 2, abs=1e-6)
    assert one != pytest.approx(two, abs=1e-3)


def test_predictions_with_several_views(cnntrain: Cnntrain, run: Path, image: Path) -> None:
    """The mean over ten files that are the crops, given to a network that crops no further."""
    corners = [(0, 0), (2, 0), (0, 2), (2, 2), (1, 1)]
    sums: dict[str, float] = {}
    with Image.open(image) as whole:
        for x, y in corners:
            crop = whole.crop((x, y, x + 6, y + 6))
            for view in (crop, crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)):
                view.save("view.png")
                for name, value in probabilities(
                    cnntrain("predict", run, "view.png", "--json")
                ).items():
                    sums[name] = sums.get(name, 0) + value
    found = probabilities(cnntrain("predict", run, image, "--crops", "ten", "--json"))
    assert found == pytest.approx({name: value / 10 for name, value in sums.items()}, abs=1e-6)


def test_formats_that_contradict_each_other(cnntrain: Cnntrain, run: Path, image: Path) -> None:
    answer = cnntrain("predict", run, image, "--json", "--format", "csv")
    assert answer.code == 2
    assert "--json and --format csv contradict each other" in answer.err


def linked(source: Path, name: str, *, images: int) -> Path:
    """The first images of each class of CIFAR-10's test set, and one training image of each."""
    for split, count in (("train", 1), ("test", images)):
        for folder in sorted((source / split).iterdir()):
            target = Path(name) / split / folder.name
            target.mkdir(parents=True)
            for file in sorted(folder.iterdir())[:count]:
                (target / file.name).symlink_to(file)
    return Path(name)


def weights_of(real_data: Path) -> Path:
    if not (real_data / WEIGHTS).exists():
        pytest.skip(f"{WEIGHTS} is not in CNNTRAIN_DATA")
    return real_data / WEIGHTS


def test_weights_that_others_trained(cnntrain: Cnntrain, real_data: Path) -> None:
    """912 right of the first 100 of each class; of the first 20, 181, and 183 with mirror images.

    Counted with torch alone, images read by Pillow and the state_dict loaded by hand. All images
    are evaluated in tests/assemble/transfer/test_pretrained.py.
    """
    weights = ["-s", f"finetune.weights.file={weights_of(real_data)}"]
    many = ["-s", f"data.root={linked(real_data / 'cifar10', 'many', images=100)}", *weights]
    few = ["-s", f"data.root={linked(real_data / 'cifar10', 'few', images=20)}", *weights]
    found = json.loads(cnntrain("eval", CONFIG, "--json", *many).out)
    assert (found["correct"], found["images"]) == (912, 1000)
    assert found["checkpoint"] == str(weights_of(real_data))
    mirrored = json.loads(cnntrain("eval", CONFIG, "--crops", "dense", "--json", *few).out)
    assert (mirrored["correct"], mirrored["images"], mirrored["views"]) == (183, 200, 2)
    answer = cnntrain("predict", CONFIG, "few/test", "--json", *few)
    predictions = json.loads(answer.out)["predictions"]
    assert sum(Path(each["file"]).parent.name == each["class"] for each in predictions) == 181


def test_how_good_it_is(cnntrain: Cnntrain, weak: Path) -> None:
    """The intervals, areas and probabilities agree with each other, and with predictions."""
    found = json.loads(cnntrain("eval", weak, "--json").out)
    assert found["top1_interval"]["low"] <= found["top1"] <= found["top1_interval"]["high"]
    assert sum(each["images"] for each in found["reliability"]) == 30
    assert [each["class"] for each in found["areas"]] == [each["name"] for each in found["classes"]]
    # cross entropy without weights or smoothing is the log loss
    assert found["log_loss"] == pytest.approx(found["loss"], abs=1e-6)
    text = cnntrain("eval", weak).out
    assert f"balanced accuracy {found['balanced_accuracy']:.2%}" in text
    assert f"ROC area {found['roc_area']:.4f}  PR area {found['pr_area']:.4f}" in text
    assert "bootstrap: 10,000 draws of the images, not stratified, seed 0" in text
    assert text.endswith("loss: cross_entropy, as in training\n")
    # one network, seen through the other way of evaluation
    twice = json.loads(cnntrain("eval", weak, weak, "--json").out)
    for name in ("brier_score", "log_loss", "roc_area"):
        assert twice[name] == pytest.approx(found[name], abs=1e-6)


def test_a_loss_with_weights_is_named(cnntrain: Cnntrain, run_file: RunFile) -> None:
    loss = {"name": "cross_entropy", "class_weights": "balanced", "label_smoothing": 0.1}
    file = run_file({"train.epochs": 1, "train.loss": loss})
    assert cnntrain("fit", file, "-q", "--out", "weighted").code == 0
    found = json.loads(cnntrain("eval", "weighted", "--json").out)
    assert found["loss_is"] == (
        "cross_entropy with label_smoothing 0.1, class_weights balanced, as in training"
    )
    assert found["log_loss"] != pytest.approx(found["loss"], abs=1e-3)


def test_mistakes_are_listed(cnntrain: Cnntrain, weak: Path) -> None:
    answer = cnntrain("eval", weak, "--json", "--mistakes", "wrong.csv")
    found = json.loads(answer.out)
    rows = list(csv.DictReader(Path("wrong.csv").read_text().splitlines()))
    assert len(rows) == found["images"] - found["correct"] > 0
    assert f"{len(rows)} mistakes: wrong.csv" in answer.err
    assert all(row["class"] != row["predicted"] for row in rows)
    sure = [float(row["probability"]) for row in rows]
    assert sure == sorted(sure, reverse=True)
    pairs = Counter((row["class"], row["predicted"]) for row in rows)
    told = {(each["class"], each["predicted"]): each["images"] for each in found["most_confused"]}
    assert pairs == told
    answer = cnntrain("eval", weak, "--mistakes", "nowhere/wrong.csv")
    assert (answer.code, "there is no folder nowhere" in answer.err) == (2, True)
