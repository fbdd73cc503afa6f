"""Pictures of a trained network from the command line: files, numbers, wrong usage."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.font_manager  # noqa: F401  # finds the fonts before the cache is moved
import pytest
import torch
import yaml
from PIL import Image

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.config.load import load
from cnntrain.core.choices import PICTURES
from cnntrain.explain.maps import maps
from cnntrain.fit.fit import fit
from cnntrain.model.images import find_images
from cnntrain.model.opening import open_model

Cnntrain = Callable[..., Any]
RunFile = Callable[..., Path]

KINDS = (
    *("filters", "maps", "patches", "deconv", "embedding", "gabor"),
    *("saliency", "cam", "occlusion", "confusion", "mistakes", "fool"),
)
NET = {
    "layers": [
        {"conv": {"out": 6, "kernel": 5, "padding": "same"}, "as": "stem"},
        "relu",
        "max_pool",
        {"residual": {"body": [{"conv": {"out": 6, "padding": "same"}}, "relu"]}, "as": "mid"},
        "global_avg_pool",
        {"dropout": {"p": 0.2}},
        {"linear": {"out": "$num_classes"}, "as": "output"},
    ],
    "aux": [{"from": "mid", "layers": ["global_avg_pool", {"linear": {"out": "$num_classes"}}]}],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that ends as those of class activation maps do, after three epochs."""
    folder = tmp_path_factory.mktemp("trained")
    data = {"name": "synthetic", "size": 12, "images": 96, "classes": 4, "test_images": 40}
    tree = {
        "arch": NET,
        "compute": {"threads": 1},
        "data": {**data, "batch_size": 16, "split": {"validation": 16}},
        "train": {"epochs": 3, "optimizer": {"name": "sgd", "lr": 0.05}},
        "record": {"tensorboard": False},
    }
    (folder / "small.yaml").write_text(yaml.safe_dump(tree))
    fit(load(folder / "small.yaml"), out=folder / "run", quiet=True)
    return folder / "run"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    file = tmp_path / "photo.png"
    pixels = torch.randint(0, 256, (12, 12, 3), dtype=torch.uint8)
    Image.fromarray(pixels.numpy()).save(file)
    return file


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_makes_a_picture_and_overwrites_none(
    cnntrain: Cnntrain, run: Path, kind: str
) -> None:
    answer = cnntrain("visualize", kind, run, "--json")
    assert answer.code == 0, answer.err
    assert json.loads(answer.out)["file"] == f"{kind}.png"
    with Image.open(f"{kind}.png") as picture:
        assert picture.format == "PNG"
        assert min(picture.size) > 150
        assert max(picture.size) < 4000
        assert len(picture.convert("RGB").getcolors(1 << 24)) > 20
    again = cnntrain("visualize", kind, run)
    assert again.code == 2
    assert f"{kind}.png already exists; give another --out, or --force" in again.err


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("saliency --image 5 --image 7", "saliency-5-7.png"),
        ("saliency --image photo.png --class class1", "saliency-photo-class1.png"),
        ("maps --layer mid.body.conv1 --image 5", "maps-mid.body.conv1-5.png"),
        ("maps --image photo.png", "maps-photo.png"),
        ("patches --layer stem --unit 4 --split train", "patches-stem-4-train.png"),
        ("embedding --method pca", "embedding-pca.png"),
    ],
)
def test_a_picture_is_named_by_what_it_shows(
    cnntrain: Cnntrain, run: Path, photo: Path, words: str, file: str
) -> None:
    assert photo.parent == Path.cwd()
    assert cnntrain("visualize", *words.split(), run).out == f"{file}\n"
    assert f"{file} already exists" in cnntrain("visualize", *words.split(), run).err


def test_what_is_wrong_is_told_before_the_file_that_exists(cnntrain: Cnntrain, run: Path) -> None:
    for name in ("filters", "filters-steam", "saliency-40"):
        Path(f"{name}.png").write_bytes(b"")
    assert "already exists" in cnntrain("visualize", "filters", run).err
    for words, says in [
        (("filters", "no_run"), "no_run"),
        (("filters", run, "--layer", "steam"), "the network has no layer 'steam'"),
        (("saliency", run, "--image", "40"), "there is no image 40"),
    ]:
        answer = cnntrain("visualize", *words)
        assert answer.code == 2
        assert says in answer.err
        assert "already exists" not in answer.err


def test_a_picture_is_told_by_its_file_and_can_be_replaced(cnntrain: Cnntrain, run: Path) -> None:
    Path("mine.png").write_bytes(b"")
    answer = cnntrain("visualize", "confusion", run, "--out", "mine.png", "--force")
    assert (answer.code, answer.out) == (0, "mine.png\n")
    assert " of 40 test images right" in answer.err
    with Image.open("mine.png") as picture:
        picture.load()


def test_svg(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("visualize", "embedding", run, "--out", "a.svg", "--method", "pca")
    assert answer.code == 0
    assert "% of the variance" in answer.err
    assert "<svg" in Path("a.svg").read_text()


def test_mistakes_are_those_of_eval(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("visualize", "mistakes", run, "--split", "train", "--count", "5", "--json")
    found = json.loads(answer.out)
    evaluated = json.loads(cnntrain("eval", run, "--split", "train", "--json").out)
    assert found["images"] == evaluated["images"] == 80
    assert found["wrong"] == evaluated["images"] - evaluated["correct"]
    shown = [each["probability"] for each in found["mistakes"]]
    assert shown == sorted(shown, reverse=True)
    assert len(shown) == min(5, found["wrong"])
    confusion = json.loads(cnntrain("visualize", "confusion", run, "--json").out)
    assert confusion["confusion"] == json.loads(cnntrain("eval", run, "--json").out)["confusion"]


def test_strongest_answers_are_the_largest_of_the_split(cnntrain: Cnntrain, run: Path) -> None:
    answer = cnntrain("visualize", "patches", run, "--layer", "relu1", "--unit", "2", "--json")
    [unit] = json.loads(answer.out)["units"]
    trained = open_model(run / "checkpoints" / "best.pt")
    with find_images(trained, split="test").opened() as loader:
        images = torch.cat([batch.images for batch in loader.batches(0)])
    with torch.inference_mode():
        maps = trained.net.relu1(trained.net.stem(images))[:, 2]  # type: ignore[operator]
    values, order = maps.flatten(1).max(dim=1).values.sort(descending=True)
    assert unit["unit"] == 2
    assert [each["image"] for each in unit["answers"]] == [f"image {i}" for i in order[:9]]
    first = unit["answers"][0]
    assert first["value"] == pytest.approx(float(values[0]), rel=1e-5)
    there = maps[order[0], first["row"], first["column"]]
    assert first["value"] == pytest.approx(float(there), rel=1e-5)


def test_a_limit_draws_the_same_images_each_time(cnntrain: Cnntrain, run: Path) -> None:
    answers = [
        json.loads(
            cnntrain("visualize", "embedding", run, "--limit", limit, "--method", "pca", "--force",
                     "--json").out
        )["points"]
        for limit in (10, 10, 40)
    ]  # fmt: skip
    names = [[point["image"] for point in each] for each in answers]
    assert names[0] == names[1]
    assert len(names[0]) == 10
    assert names[2] == [f"image {number}" for number in range(40)]
    assert all(p["class"] == f"class{int(p['image'].split()[1]) % 4}" for p in answers[0])


def test_which_map_it_is_is_told(cnntrain: Cnntrain, run: Path, photo: Path) -> None:
    answer = cnntrain("visualize", "cam", run, "--image", photo, "--image", "3")
    assert "Class activation map (Zhou et al. 2016)" in answer.err
    assert "what global_avg_pool1 reads, weighted by output" in answer.err
    command = ("visualize", "cam", run, "--layer", "stem", "--class", "class2", "--force")
    assert "Grad-CAM (Selvaraju et al. 2017): maps of stem" in cnntrain(*command).err
    found = json.loads(cnntrain(*command, "--image", photo, "--json").out)["images"]
    assert [each["image"].split("/")[-1] for each in found] == ["photo.png"]
    assert found[0]["shown"] == "class2"
    assert found[0]["class"] is None


def test_only_the_end_of_a_network_speaks_of_classes(run: Path) -> None:
    """Of `NET` the pooling gives six numbers, the last layer one for each of the four classes."""
    for layer, drawn in [
        ("output", 2),
        ("dropout1", 1),
        ("stem", 1),
    ]:  # bars have axes of their own
        assert len(maps(model=open_model(run), layer=layer).figure.axes) == drawn


def test_what_fooled_it(cnntrain: Cnntrain, run: Path) -> None:
    seen = json.loads(cnntrain("visualize", "saliency", run, "--image", "1", "--json").out)
    now = seen["images"][0]["predicted"]
    other = "class0" if now == "class3" else "class3"
    command = ("visualize", "fool", run, "--image", "1", "--class")
    answer = cnntrain(*command, other, "--json")
    found = json.loads(answer.out)["images"]
    assert [each["image"] for each in found] == ["image 1", f"noise, for {other}"]
    assert found[0]["before"].startswith(now)
    assert found[0]["fooled"] == found[0]["after"].startswith(other)
    assert found[1]["fooled"] == (found[1]["after"] >= f"{other} (99.6%)")
    says = cnntrain(*command, other, "--force").err
    assert ("not fooled: below 99.6%" in says) == (not found[1]["fooled"])
    answer = cnntrain(*command, now, "--force")
    assert answer.code == 2
    assert f"image 1 is seen as {found[0]['before']} already; choose another --class" in answer.err


def test_noise_is_to_be_taken_for_what_it_is_not_seen_as(cnntrain: Cnntrain, run: Path) -> None:
    found = json.loads(cnntrain("visualize", "fool", run, "--json").out)["images"]
    noises = [each for each in found if each["image"].startswith("noise, for ")]
    assert len(noises) == 2
    for each in noises:
        assert not each["before"].startswith(each["image"].removeprefix("noise, for "))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("maps --layer steam", "the network has no layer 'steam'; did you mean 'stem'?"),
        ("maps --layer conv1", "no layer 'conv1'; did you mean 'mid.body.conv1'?"),
        ("maps --layer aux1.linear1", "no layer 'aux1.linear1'; its layers are stem, relu1,"),
        ("maps --layer xyz", "no layer 'xyz'; its layers are stem, relu1, max_pool1, mid, "),
        ("cam --layer output", "'output' gives no maps, but 4 numbers; the last one that does is"),
        ("filters --layer output", "'output' has no filters; these have: stem, mid.body.conv1"),
        ("gabor --layer mid", "8 parameters, fits anything so small; these are large enough: stem"),
        ("patches --unit 6", "the layer 'mid' has no unit 6; it has 0 to 5"),
        ("patches --layer output --unit 4", "the layer 'output' has no unit 4; it has 0 to 3"),
        ("saliency --class klass1", "the network has no class 'klass1'; did you mean 'class1'?"),
        (
            "saliency --image none.png",
            "none.png is not there; name a file, or an image of the split",
        ),
        ("saliency --image /", "/ is a folder, not an image; name a file"),
        ("saliency --image 40", "there is no image 40 in the test split; it has 0 to 39"),
        ("occlusion --size 12", "a square of 12 hides the whole image; --size below 12"),
        ("occlusion --size 3 --stride 4", "a step of 4 pixels leaves gaps between squares of 3"),
        ("embedding --limit 2", "2 test images of 40 are too few to embed; raise --limit"),
        ("filters --out a.gif", "a.gif is no .png or .svg file"),
        ("filters --out none/a.png", "there is no folder none; make it first"),
        ("filters -s train.epochs=3", "-s train.epochs cannot change when"),
        ("filters --unit 3", "No such option: --unit"),
        ("cam a.jpg", "a.jpg stands without an option; write `cnntrain visualize cam "),
        ("maps a.jpg", " --image a.jpg`"),
        ("filters a.jpg", "a.jpg stands without an option; remove it"),
        ("filter", "No such command 'filter'"),
    ],
)
def test_wrong_usage(cnntrain: Cnntrain, run: Path, words: str, says: str) -> None:
    kind, *options = words.split()
    answer = cnntrain("visualize", kind, run, *options)
    assert answer.code == 2
    assert says in answer.err
    assert not list(Path().glob("*.png"))


def test_a_picture_of_another_size(cnntrain: Cnntrain, run: Path, tmp_path: Path) -> None:
    Image.new("RGB", (9, 12)).save(tmp_path / "narrow.png")
    answer = cnntrain("visualize", "saliency", run, "--image", tmp_path / "narrow.png")
    assert answer.code == 2
    says = "narrow.png: is 3 x 12 x 9 after its transforms, but the network was evaluated on 3 x 12"
    assert says in answer.err


def test_a_file_that_is_no_image(cnntrain: Cnntrain, run: Path, tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    answer = cnntrain("visualize", "maps", run, "--image", tmp_path / "text.png")
    assert answer.code == 3
    assert "cannot read the image" in answer.err
    assert "give an image file (JPEG, PNG," in answer.err


def test_a_network_of_linear_layers(cnntrain: Cnntrain, run_file: RunFile) -> None:
    layers = ["flatten", {"linear": {"out": 9}}, "relu", {"linear": {"out": "$num_classes"}}]
    file = run_file({"arch": {"layers": layers}, "train.epochs": 1})
    assert cnntrain("fit", file, "-q", "--out", "flat").code == 0
    found = json.loads(cnntrain("visualize", "filters", "flat", "--json").out)
    assert (found["layer"], found["shape"]) == ("linear1", [9, 1, 8, 8])
    for kind in ("patches", "deconv", "cam"):
        answer = cnntrain("visualize", kind, "flat")
        assert answer.code == 2
        assert "no layer that gives maps; `saliency` and `occlusion` need none; " in answer.err
    assert "no layer that gives" in cnntrain("visualize", "cam", "flat", "--layer", "relu1").err
    answer = cnntrain("visualize", "patches", "flat", "--layer", "relu1", "--json")
    places = {(a["row"], a["column"]) for unit in json.loads(answer.out)["units"]
              for a in unit["answers"]}  # fmt: skip
    assert places == {(0, 0)}
    assert cnntrain("visualize", "deconv", "flat", "--layer", "relu1").code == 0


def test_a_network_of_convolutions_alone(cnntrain: Cnntrain, run_file: RunFile) -> None:
    """What is embedded is what also tells the mistakes; no linear layer reads anything."""
    layers = [{"conv": {"out": 5}}, "relu", {"conv": {"out": "$num_classes"}}, "global_avg_pool"]
    file = run_file({"arch": {"layers": layers}, "train.epochs": 1})
    assert cnntrain("fit", file, "-q", "--out", "all").code == 0
    answer = cnntrain("visualize", "embedding", "all", "--method", "pca", "--json")
    found = json.loads(answer.out)
    assert (found["layer"], len(found["points"])) == ("global_avg_pool1", 30)
    answer = cnntrain("visualize", "cam", "all")
    assert "Grad-CAM (Selvaraju et al. 2017): maps of conv2" in answer.err


def test_a_layer_that_is_dead(cnntrain: Cnntrain, run_file: RunFile) -> None:
    """Weights of zero and biases below: nothing ever passes the rectifier."""
    dead = {"layers": ["flatten", {"linear": {"out": 9}}, "relu", {"linear": {"out": 3}}]}
    trained = cnntrain("fit", run_file({"arch": dead, "train.epochs": 1}), "-q", "--out", "dead")
    assert trained.code == 0
    file = Path("dead/checkpoints/best.pt")
    saved = load_checkpoint(file)
    state = saved["model"]
    assert isinstance(state, dict)
    state["linear1.weight"].zero_()
    state["linear1.bias"].fill_(-1.0)
    save(file, saved)
    for words, says in [
        (("visualize", "embedding", "dead"), "input of 'linear2' gives the same for all 30 test"),
        (("visualize", "patches", "dead", "--layer", "relu1"), "no unit of 'relu1' is ever above"),
    ]:
        answer = cnntrain(*words)
        assert answer.code == 2, answer.err
        assert says in answer.err
    for words in [("visualize", "deconv", "dead", "--layer", "relu1", "--unit", "0"),
                  ("retrieve", "dead", "0"), ("probe", "dead"), ("visualize", "saliency", "dead"),
                  ("visualize", "fool", "dead"), ("visualize", "gabor", "dead")]:  # fmt: skip
        assert cnntrain(*words).code == 0


def test_a_run_file_that_names_weights(cnntrain: Cnntrain, run: Path, tmp_path: Path) -> None:
    tree = yaml.safe_load((run / "config.yaml").read_text())
    tree = {"arch": tree["arch"], "data": tree["data"], "finetune": {"weights": {"run": str(run)}}}
    (tmp_path / "again.yaml").write_text(yaml.safe_dump(tree))
    command = ("visualize", "saliency", "--image", "1", "--json", "--force")
    ours = json.loads(cnntrain(*command, tmp_path / "again.yaml").out)
    assert ours == json.loads(cnntrain(*command, run).out)


OWN = '''
"""A picture of one's own."""

import torch
from matplotlib.figure import Figure

from cnntrain.core.kinds import Names, Positive, Split
from cnntrain.explain import picture
from cnntrain.model.images import find_images
from cnntrain.model.model import Model
from cnntrain.show.image_table import Picture


@picture("my_scores")
def my_scores(
    *, model: Model, bins: Positive = 10, names: Names = (), split: Split | None = None
) -> Picture:
    """A histogram of the scores.

    Args:
        bins: of the histogram.
        names: whose scores. Default: of all.
    """
    data = find_images(model, split=split)
    with data.opened() as loader:
        scores = torch.cat([model.logits(batch.images) for batch in loader.batches(0)])
    chosen = [model.classes.index(name) for name in names or model.classes]
    figure = Figure()
    counts, *_ = figure.subplots().hist(scores[:, chosen].flatten().tolist(), bins=bins)
    return Picture(figure, {"split": data.split, "counts": counts.tolist()}, "my scores")
'''


def test_a_picture_of_ones_own(cnntrain: Cnntrain, run: Path, tmp_path: Path) -> None:
    plugin = tmp_path / "own.py"
    plugin.write_text(OWN)
    assert "No such command 'my_scores'" in cnntrain("visualize", "my_scores", run).err
    command = ("visualize", "my_scores", run, "--plugin", plugin, "--bins", "7")
    answer = cnntrain(*command, "--name", "class1", "--name", "class3", "--split", "train")
    assert (answer.code, answer.err) == (0, "my scores\n")
    assert answer.out == "my_scores-class1-class3-train.png\n"
    found = json.loads(cnntrain(*command, "--json").out)
    assert len(found["counts"]) == 7
    assert sum(found["counts"]) == 40 * 4  # a score of each test image for each class
    answer = cnntrain("visualize", "my_scores", run, f"--plugin={plugin}", "--bins", "0")
    assert answer.code == 2
    assert "'--bins'" in answer.err
    answer = cnntrain("visualize", "my_score", run, f"--plugin={plugin}")
    assert answer.code == 2
    assert "No such command 'my_score'. Did you mean 'my_scores'?" in answer.err
    plugin.write_text(OWN.replace("my_scores", "my_out").replace("bins", "out"))
    answer = cnntrain("visualize", "my_out", run, "--plugin", plugin)
    assert answer.code == 2
    assert (
        "picture 'my_out' has the parameter 'out', which every picture's command has" in answer.err
    )
    plugin.write_text(OWN)
    listed = cnntrain("list", "pictures", "my_scores", "--plugin", plugin)
    assert "bins: Positive (default 10): of the histogram." in listed.out


def test_a_picture_of_a_plugin_that_the_run_file_names(
    cnntrain: Cnntrain, run_file: RunFile, tmp_path: Path
) -> None:
    (tmp_path / "bars.py").write_text(OWN.replace("my_scores", "my_bars"))
    file = run_file({"train.epochs": 1, "plugins": [str(tmp_path / "bars.py")]})
    assert cnntrain("fit", file, "-q", "--out", "run").code == 0
    PICTURES.forget_plugins()
    answer = cnntrain("visualize", "my_bars", "--bins", "3", "run", "--json")
    assert answer.code == 0, answer.err
    assert len(json.loads(answer.out)["counts"]) == 3


def test_all_pictures_are_listed(cnntrain: Cnntrain) -> None:
    names = [
        each["name"] for each in json.loads(cnntrain("list", "pictures", "--json").out)["pictures"]
    ]
    assert set(names) >= {*KINDS, "retrieve", "probe"}
