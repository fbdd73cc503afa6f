"""A run file for a folder of images: which one, and that it is right wherever it is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnntrain.config.load import load
from cnntrain.config.shipped import resolve
from cnntrain.core.errors import DataError, UsageError
from cnntrain.fit import folder_of_images
from cnntrain.fit.folder_of_images import (
    FEW,
    Images,
    choose,
    is_folder_of_images,
    look,
    run_file_for,
)

R18, R50 = "resnet18/IMAGENET1K_V1", "resnet50/IMAGENET1K_V2"
Fill = Callable[..., Path]


@pytest.fixture
def fill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fill:
    """Images of two classes in a folder below an empty working folder, where no weights are."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(folder_of_images, "_is_here", lambda _: False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)

    def make(name: str = "my_images", *, size: tuple[int, int] = (40, 20), count: int = 3) -> Path:
        for label in ("cat", "dog"):
            folder = Path(name, label)
            folder.mkdir(parents=True)
            for number in range(count):
                Image.new("RGB", size, (number, 0, 0)).save(folder / f"{number}.png")
        return Path(name)

    return make


@pytest.mark.parametrize(
    ("count", "side", "on_gpu", "weights", "name"),
    [
        (200, 300, False, [], "starter"),
        (200, 300, True, [], "starter"),
        (200, 300, False, [R18], "probe"),
        (200, 300, False, [R18, R50], "probe"),
        (200, 300, False, [R50], "finetune"),
        (5_000, 300, False, [R50], "starter"),  # hours without a GPU
        (5_000, 300, True, [R50], "finetune"),
        (5_000, 300, True, [R18, R50], "finetune"),
        (5_000, 300, True, [R18], "probe"),
        (200, 32, False, [R18], "probe"),
        (50_000, 32, True, [R18, R50], "starter"),
    ],
)
def test_what_is_there_decides(
    count: int, side: int, on_gpu: bool, weights: list[str], name: str
) -> None:
    images = Images(count=count, classes=2, side=side)
    chosen = choose(images, on_gpu=on_gpu, has_weights=weights.__contains__)
    assert chosen.name == name
    assert chosen.why


def test_images_are_counted_and_measured(fill: Fill) -> None:
    assert look(fill()) == Images(count=6, classes=2, side=20, undivided=True)
    split = fill("split/train", count=2)
    fill("split/val", count=5)
    assert look(split.parent) == Images(count=4, classes=2, side=20)


def test_a_file_is_written_once_and_says_why(fill: Fill) -> None:
    said: list[str] = []
    file = run_file_for(str(fill()), tell=said.append)
    assert file == Path("my_images.yaml")
    assert said == [
        "my_images: 6 images of 2 classes, about 20 pixels wide or high",
        "chosen: starter; no weights of torchvision's ResNets are here: a small network, trained "
        "from scratch; `cnntrain fit probe -s data.root=my_images` downloads some (45 MB), and "
        "usually makes fewer errors",
        "written: my_images.yaml; to change it, edit that file; to repeat it: "
        "cnntrain fit my_images.yaml",
    ]
    config = load(file).config
    assert "# images in CLASS/; a fifth of them is held out for validation\n" in file.read_text()
    assert (config.name, config.data.batch_size) == ("my_images", 16)
    assert config.data.parameters["root"] == "my_images"
    edited = file.read_text() + "# mine\n"
    file.write_text(edited)
    said.clear()
    assert run_file_for("my_images", tell=said.append) == file
    assert said == [
        "my_images.yaml is used, whose data.root is my_images; rename it to have one chosen again"
    ]
    assert file.read_text() == edited


def test_another_folder_of_that_name_gets_another_file(fill: Fill) -> None:
    Path("my_images.yaml").write_text("mine: 1\n")
    assert run_file_for(str(fill()), tell=print) == Path("my_images-2.yaml")
    assert run_file_for(str(fill("other/my_images")), tell=print) == Path("my_images-3.yaml")
    assert run_file_for("my_images", tell=print) == Path("my_images-2.yaml")
    assert Path("my_images.yaml").read_text() == "mine: 1\n"


@pytest.mark.parametrize("name", ["my photos (2)", "no", "5", "a: b", "ä#1", "x/../y"])
def test_names_that_yaml_would_read_otherwise(fill: Fill, name: str) -> None:
    fill(name)
    file = run_file_for(name, tell=print)
    assert look(Path(load(file).config.data.parameters["root"])).count == 6


@pytest.mark.parametrize(("side", "crop"), [(20, 32), (50, 64), (111, 64), (112, 128), (400, 128)])
def test_small_images_are_not_enlarged(fill: Fill, side: int, crop: int) -> None:
    file = run_file_for(str(fill(size=(side, 2 * side), count=1)), tell=print)
    config = load(file).config
    [first, *_] = config.data.transforms.train
    assert first.parameters["size"] == crop
    small = (config.vars["stem_stride"], config.train.epochs)
    assert small == ((2, 60) if crop == 128 else (1, 30))


def test_many_photographs_keep_the_shipped_network(fill: Fill) -> None:
    many = Images(count=FEW, classes=2, side=400)
    text = folder_of_images._text(
        choose(many, on_gpu=False, has_weights=lambda _: False), fill(), many
    )
    assert "stem_stride: 1" in text
    assert "epochs: 30" in text


@pytest.mark.parametrize("name", ["starter", "probe", "finetune"])
def test_each_file_that_may_be_chosen_names_the_folder(
    fill: Fill, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = folder_of_images.ChosenFile(name, "why")
    monkeypatch.setattr(folder_of_images, "choose", lambda *_, **__: chosen)
    file = run_file_for(str(fill("pictures")), tell=print)
    config = load(file).config
    assert config.data.parameters["root"] == "pictures"
    assert (config.finetune is None) == (name == "starter")
    assert "my_images" not in file.read_text()


def test_a_gpu_that_is_not_wanted_does_not_count(
    fill: Fill, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(folder_of_images, "_is_here", lambda _: True)
    file = run_file_for(str(fill()), overrides=["compute.device=cpu"], tell=print)
    assert "# probe: no GPU" in file.read_text()
    file.unlink()
    assert "# finetune: a GPU" in run_file_for("my_images", tell=print).read_text()


def test_a_folder_one_level_off_is_answered_with_the_command(fill: Fill) -> None:
    fill("all/train")
    fill("all/val")
    with pytest.raises(DataError, match="cnntrain fit all"):
        run_file_for("all/train", tell=print)
    assert not list(Path().glob("*.yaml"))


def test_a_misspelt_folder_is_named(fill: Fill) -> None:
    fill()
    with pytest.raises(UsageError, match="did you mean 'my_images'"):
        resolve("my_image/")
    with pytest.raises(UsageError, match="did you mean 'starter'"):
        resolve("startr")
    fill("photos")  # nearer than the shipped file photographs
    with pytest.raises(UsageError, match="did you mean 'photos'"):
        resolve("phtos")


def test_what_is_a_folder_of_images(fill: Fill) -> None:
    fill()
    fill("digits")
    Path("run").mkdir()
    Path("run/config.yaml").touch()
    assert is_folder_of_images("my_images")
    assert is_folder_of_images("digits/")
    assert is_folder_of_images("./digits")
    for other in ("digits", "run", "run/", "nothing", "run/config.yaml"):
        assert not is_folder_of_images(other)
    Path("my_images.yaml").touch()
    assert not is_folder_of_images("my_images")
