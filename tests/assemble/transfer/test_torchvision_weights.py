"""torchvision's published weights, from a file in its cache: nothing is downloaded here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torchvision.models import ResNet18_Weights, get_model_weights, list_models

from cnntrain.assemble.checked import check_run_file
from cnntrain.assemble.networks import image_sizes
from cnntrain.assemble.prepare import prepare
from cnntrain.assemble.transfer.preprocessing import follow_weights, plain_steps
from cnntrain.assemble.transfer.torchvision_weights import (
    INCEPTIONS,
    find_published,
    known_models,
    published_for,
)
from cnntrain.config.load import load
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.data.crops import make_views
from cnntrain.data.splits import Files
from cnntrain.model.opening import open_model

NAME = "resnet18/IMAGENET1K_V1"


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def offline(url: str, *_: Any, **__: Any) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)


def finetuned(run_file: Callable[..., Path], name: str = NAME, **changes: Any) -> Path:
    given = {
        "arch": "archs/resnet18.yaml",
        "data": {"name": "synthetic", "size": 40, "images": 12, "test_images": 0, "classes": 3},
        "finetune": {"weights": {"torchvision": name}},
    }
    return run_file({**given, **{k.replace("__", "."): v for k, v in changes.items()}})


@pytest.fixture
def cached(tmp_path: Path) -> torch.nn.Module:
    """A random ResNet-18 where torchvision keeps the published one."""
    torch.manual_seed(0)
    model: torch.nn.Module = torchvision.models.resnet18()
    path = find_published(NAME).path
    assert path.is_relative_to(tmp_path)
    path.parent.mkdir(parents=True)
    torch.save(model.state_dict(), path)
    return model.eval()


def test_what_is_in_the_cache_is_loaded(
    cached: torch.nn.Module, run_file: Callable[..., Path]
) -> None:
    prepared = prepare(load(finetuned(run_file)))
    assert prepared.start is not None
    assert prepared.start.new == ("fc.weight", "fc.bias")
    assert (prepared.start.missing, prepared.start.left_over) == ((), ())
    assert torch.equal(prepared.learner.model.conv1.conv1.weight, cached.conv1.weight)
    assert image_sizes(prepared.loaded) == {"train": (224, 224), "eval": (224, 224)}
    assert next(iter(prepared.data.train.batches(1))).images.shape[2:] == (224, 224)


def test_without_a_network_it_is_told_what_to_put_where(run_file: Callable[..., Path]) -> None:
    with pytest.raises(CheckpointError) as caught:
        prepare(load(finetuned(run_file)))
    says = str(caught.value)
    published = find_published(NAME)
    assert published.url == ResNet18_Weights.IMAGENET1K_V1.url
    assert published.url in says
    assert str(published.path) in says
    assert "Name or service not known" in says
    assert caught.value.problems[0].place is not None


def test_a_download_is_compared_with_its_checksum(
    run_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, Any] = {}

    def spoilt(url: str, path: str, **options: Any) -> None:
        asked.update(options)
        raise RuntimeError('invalid hash value (expected "f37072fd", got "00000000")')

    monkeypatch.setattr(torch.hub, "download_url_to_file", spoilt)
    with pytest.raises(CheckpointError, match="invalid hash value"):
        prepare(load(finetuned(run_file)))
    assert asked["hash_prefix"] == "f37072fd"  # in the name resnet18-f37072fd.pth


@pytest.mark.parametrize(
    ("name", "says"),
    [
        (
            "resnet81/IMAGENET1K_V1",
            "no classification model 'resnet81'; did you mean 'resnet18'",
        ),
        ("quantized_resnet18/DEFAULT", "no classification model 'quantized_resnet18'; did you"),
        ("fcos_resnet50_fpn/COCO_V1", "no classification model 'fcos_resnet50_fpn'"),
        ("resnet18", "write resnet18/IMAGENET1K_V1"),
        ("resnet50/IMAGENET1K", "write resnet50/IMAGENET1K_V1, resnet50/IMAGENET1K_V2"),
        ("vit_b_16/IMAGENET1K_V1", "has neither torchvision's 'vit_b_16' nor a map of its names"),
    ],
)
def test_names_that_are_wrong(run_file: Callable[..., Path], name: str, says: str) -> None:
    transforms = {"train": ["normalize"], "eval": ["normalize"]}
    file = finetuned(run_file, name, data__transforms=transforms)
    with pytest.raises(ConfigError) as caught:
        prepare(load(file))
    assert says in str(caught.value)
    assert caught.value.problems[0].place is not None
    assert name in caught.value.problems[0].place.source


def test_a_wrong_name_is_all_that_is_wrong(run_file: Callable[..., Path]) -> None:
    """Images are prepared as for the weights: without these their size is unknown, not wrong."""
    train = [{"random_resized_crop": {"size": 24}}, "normalize"]
    folder = {"name": "image_folder", "root": "nowhere"}
    file = finetuned(run_file, "resnet18", data=folder, data__transforms={"train": train})
    with pytest.raises(ConfigError) as caught:
        check_run_file(file)
    assert {problem.message for problem in caught.value.problems} == {
        "'resnet18' names no weights that torchvision has for 'resnet18'"
    }


@pytest.mark.parametrize("arch", ["resnet34", "vgg_a"])
def test_weights_of_another_network_name_theirs(
    cached: torch.nn.Module, run_file: Callable[..., Path], arch: str
) -> None:
    with pytest.raises(CheckpointError, match=r"set arch: archs/resnet18\.yaml"):
        prepare(load(finetuned(run_file, arch=f"archs/{arch}.yaml")))


def test_the_models_that_have_a_map() -> None:
    """All convolutional networks of torchvision but two, of which no architecture is shipped."""
    others = ("maxvit", "swin", "vit", "efficientnet_v2_m", "efficientnet_v2_l")
    names = list_models(module=torchvision.models)
    assert known_models() == [name for name in names if not name.startswith(others)]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> dict[Path, Image.Image]:
    """A wide and a high image, and their files."""
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    wide, folder = Image.fromarray(noise).resize((700, 520)), tmp_path_factory.mktemp("pictures")
    high = wide.transpose(Image.Transpose.ROTATE_90).crop((0, 0, 520, 650))
    found = {folder / "wide.png": wide, folder / "high.png": high}
    for file, picture in found.items():
        picture.save(file)
    return found


COMPARED: set[tuple[str, str]] = set()
"""What both sides do with an image, of the models before: many do the same."""


@pytest.mark.parametrize("model", known_models())
def test_images_are_prepared_as_torchvision_does_it(
    model: str, pictures: dict[Path, Image.Image]
) -> None:
    """The same pixels, of a wide and of a high image; not to one level of 255, but equal."""
    part = Files(tuple(pictures), torch.tensor([0, 0]), 3)
    for weights in get_model_weights(model):
        published = find_published(f"{model}/{weights.name}")
        if weights.name != "IMAGENET1K_FEATURES":
            assert published.classes is not None
            assert published.classes[:2] == ("tench", "goldfish")
        pair = str(published.steps), f"{weights.transforms()} {model in INCEPTIONS}"
        if pair in COMPARED:
            continue
        COMPARED.add(pair)
        views = make_views(published.steps, crops="center")
        ours = views.prepare(torch.stack([views.read(part, index)[0] for index in (0, 1)]))
        theirs = torch.stack([weights.transforms()(picture) for picture in pictures.values()])
        if model in INCEPTIONS:  # its network does the rest
            options: dict[str, Any] = {"transform_input": True, "init_weights": False}
            net = torchvision.models.get_model(model, weights=None, **options)
            theirs = net._transform_input(theirs)
        assert ours.shape[2:] == (published.crop, published.crop)
        rounding = 1e-6 / min(published.steps[-1]["std"])  # a level of 255 is 0.004 / std
        torch.testing.assert_close(ours, theirs, rtol=0, atol=rounding)


def test_what_is_known_of_weights() -> None:
    """From torchvision's table of weights and its README, "Pre-trained Model License"."""
    old, new = published_for("resnet50")
    assert (old.name, new.name) == ("resnet50/IMAGENET1K_V1", "resnet50/IMAGENET1K_V2")
    assert (old.top1, old.top5) == pytest.approx((0.7613, 0.92862))
    assert (old.parameters, old.licence, old.crop) == (25557032, None, 224)
    assert old.arch == "archs/resnet50"
    # four bytes for each number of its state_dict, and the archive around them
    state = torchvision.models.resnet50().state_dict()
    assert 0 < old.size - 4 * sum(v.numel() for v in state.values()) < 500_000
    features = find_published("vgg16/IMAGENET1K_FEATURES")
    assert (features.top1, features.top5, features.classes) == (None, None, None)
    swag = find_published("regnet_y_16gf/IMAGENET1K_SWAG_E2E_V1")
    assert (swag.licence, swag.crop) == ("CC-BY-NC 4.0", 384)


def test_the_run_file_has_the_last_word(run_file: Callable[..., Path]) -> None:
    train = [{"random_crop": {"size": 32}}, "normalize"]
    loaded = follow_weights(load(finetuned(run_file, data__transforms={"train": train})))
    assert image_sizes(loaded) == {"train": (32, 32), "eval": (224, 224)}
    numbers = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
    transforms = loaded.config.data.transforms
    assert transforms.train[1].parameters == transforms.eval[2].parameters == numbers
    own = {"eval": [{"resize": {"size": 48}}, {"normalize": {"mean": [0.5] * 3, "std": [1.0] * 3}}]}
    loaded = follow_weights(load(finetuned(run_file, data__transforms=own)))
    assert image_sizes(loaded) == {"train": (48, 48), "eval": (48, 48)}
    assert loaded.config.data.transforms.train[1].parameters["std"] == (1.0, 1.0, 1.0)


def test_grey_images_do_not_fit_colour_weights(run_file: Callable[..., Path]) -> None:
    file = finetuned(run_file, data__channels=1)
    with pytest.raises(ConfigError) as caught:
        prepare(load(file))
    (problem,) = caught.value.problems
    assert problem.message.startswith("the weights are for images of 3 channels, but those of")
    assert problem.remedy.startswith("set -s data.channels=3, or take weights")
    assert problem.place is not None
    assert "torchvision: resnet18" in problem.place.source


def test_published_weights_are_opened_without_data(
    cached: torch.nn.Module, run_file: Callable[..., Path], tmp_path: Path
) -> None:
    file = finetuned(run_file, data={"name": "image_folder", "root": "nowhere"})
    trained = open_model(file)
    assert len(trained.classes) == 1000
    assert trained.classes[0] == "tench"
    assert trained.in_shape == (3, 224, 224)
    image = torch.randn(1, 3, 224, 224, generator=torch.Generator().manual_seed(2))
    net = trained.net.to(memory_format=torch.contiguous_format)  # the layout of the other
    with torch.no_grad():
        assert torch.equal(net(image), cached(image))
    steps = plain_steps(follow_weights(load(file)))
    assert trained.eval_steps == steps
    assert [step["name"] for step in steps] == ["resize", "center_crop", "normalize"]
