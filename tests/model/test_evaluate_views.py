"""Views and committees: the mean of the softmax, restated with torchvision and plain loops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2

from cnntrain.checkpoint import load as load_checkpoint
from cnntrain.checkpoint import save
from cnntrain.core.errors import CheckpointError, DataError, UsageError
from cnntrain.data.decode import UnreadableImageError
from cnntrain.data.read import open_splits
from cnntrain.data.splits import from_picture
from cnntrain.fit.fit import Outcome
from cnntrain.model.ensemble import Ensemble
from cnntrain.model.evaluate import Evaluated
from cnntrain.model.model import Model
from cnntrain.model.opening import open_model

Train = Callable[..., Outcome]
RunFile = Callable[..., Path]

CROPPED = [{"center_crop": {"size": 6}}, "normalize"]
CROPS = {"data.transforms": {"train": CROPPED, "eval": CROPPED}}


@pytest.fixture
def train(run_file: RunFile, train_tiny: Train, tmp_path: Path) -> Callable[..., Path]:
    """`train("one", {"seed": 1})` is the folder of a run of one epoch."""

    def start(name: str, changes: dict[str, Any] | None = None) -> Path:
        file = run_file({"train.epochs": 1, **(changes or {})}, name=name)
        return train_tiny(file, out=tmp_path / name).run.path

    return start


def together(runs: Sequence[Path], **how: Any) -> Evaluated:
    return Ensemble([open_model(run) for run in runs]).evaluate(**how)


def stored(trained: Model, split: str) -> tuple[Tensor, Tensor]:
    """The images as they are stored, (N, C, H, W) uint8, and their classes."""
    config = trained.loaded.config
    data = config.data
    holdout = data.holdout(seed=config.seed)
    splits = open_splits(data.name, parameters=data.parameters, holdout=holdout)
    part = getattr(splits, split)
    return part.images, part.targets


def softmax(trained: Model, images: Tensor) -> Tensor:
    """Probabilities for uint8 images of the network's size; its normalisation by hand."""
    [step] = [step for step in trained.eval_steps if step["name"] == "normalize"]
    mean, std = (torch.tensor(step[key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    with torch.no_grad():
        return trained.net((images / 255 - mean) / std).softmax(dim=1)


def confusion(probabilities: Tensor, targets: Tensor) -> list[list[int]]:
    table = [[0] * probabilities.shape[1] for _ in range(probabilities.shape[1])]
    for row, target in zip(probabilities, targets.tolist(), strict=True):
        table[target][int(row.argmax())] += 1
    return table


def loss(probabilities: Tensor, targets: Tensor) -> float:
    return float(-probabilities[range(len(targets)), targets].log().mean())


def test_ten_crops(train: Callable[..., Path]) -> None:
    run = train("one", CROPS)
    trained = open_model(run)
    images, targets = stored(trained, "test")
    crops = [torch.stack([*v2.TenCrop(6)(image)]) for image in images]
    expected = torch.stack([softmax(trained, ten).mean(0) for ten in crops])
    found = together([run], crops="ten")
    assert found.metrics.confusion.tolist() == confusion(expected, targets)
    assert found.metrics.loss == pytest.approx(loss(expected, targets), rel=1e-5)
    assert found.metrics.images == 30
    assert (found.views, found.members, found.disagreements) == (10, (), 0)
    assert found.mirrors_unseen
    assert found.metrics.loss != pytest.approx(open_model(run).evaluate().metrics.loss, rel=1e-3)


def test_a_run_that_evaluates_mirror_images_answers_with_them(train: Callable[..., Path]) -> None:
    """In `eval`, in `predict` and in a committee; the mean of the logits, by hand."""
    run = train("one", {"train.evaluate_views": 2})
    trained = open_model(run)
    images, targets = stored(trained, "test")
    [step] = [step for step in trained.eval_steps if step["name"] == "normalize"]
    mean, std = (torch.tensor(step[key]).view(1, -1, 1, 1) for key in ("mean", "std"))
    given = (images / 255 - mean) / std
    with torch.no_grad():
        expected = ((trained.net(given) + trained.net(given.flip(-1))) / 2).softmax(dim=1)
    once = softmax(trained, images)
    assert not torch.allclose(once, expected, atol=1e-3)
    found = trained.evaluate("test")
    assert found.metrics.confusion.tolist() == confusion(expected, targets)
    assert found.metrics.loss == pytest.approx(loss(expected, targets), rel=1e-5)
    [prediction] = trained.predict(images[:1].permute(0, 2, 3, 1).numpy()[0])
    assert prediction.probability == pytest.approx(expected[0].max().item(), rel=1e-5)
    both = together([run, train("two", {"seed": 1})])
    assert both.members[0][1].confusion.tolist() == confusion(expected, targets)


def test_whether_mirror_images_are_new_to_the_network(train: Callable[..., Path]) -> None:
    flipped = {"data.transforms": {"train": [*CROPPED, "horizontal_flip"], "eval": CROPPED}}
    run = train("one", flipped)
    assert not together([run], crops="ten").mirrors_unseen
    assert not together([run, train("two", CROPS)]).mirrors_unseen
    assert together([run, train("three", CROPS)], crops="ten").mirrors_unseen


def test_dense_at_two_scales(train: Callable[..., Path]) -> None:
    """Sliding the window over the maps: here, with padding, over what the convolution gives."""
    run = train("one", CROPS)
    trained = open_model(run)
    net = trained.net
    images, targets = stored(trained, "test")
    views = []
    for scale in (8, 11):
        pictures = [v2.functional.to_pil_image(image) for image in images]
        wide = torch.stack([from_picture(v2.Resize(scale)(each)) for each in pictures])
        for view in (wide, wide.flip(3)):
            [step] = [step for step in trained.eval_steps if step["name"] == "normalize"]
            inputs = (view / 255 - step["mean"][0]) / step["std"][0]
            with torch.no_grad():
                maps = net.max_pool1(net.relu1(net.batch_norm1(net.conv1(inputs))))
                places = [
                    net.output(maps[:, :, y : y + 3, x : x + 3].flatten(1))
                    for y in range(maps.shape[2] - 2)
                    for x in range(maps.shape[3] - 2)
                ]
            views.append(torch.stack(places).mean(0).softmax(1))
    expected = torch.stack(views).mean(0)
    found = together([run], crops="dense", scales=(8, 11))
    assert found.views == 4
    assert found.metrics.loss == pytest.approx(loss(expected, targets), rel=1e-5)
    assert found.metrics.confusion.tolist() == confusion(expected, targets)


@pytest.fixture
def three(train: Callable[..., Path]) -> list[Path]:
    """Networks that see the same images through different preprocessing."""
    wide = [{"resize": {"size": 10}}, {"center_crop": {"size": 8}}, "normalize"]
    return [
        train("one"),
        train("two", {**CROPS, "seed": 1}),
        train("three", {"seed": 2, "data.transforms": {"train": wide, "eval": wide}}),
    ]


def members_by_hand(runs: Sequence[Path]) -> tuple[list[Tensor], Tensor]:
    one, two, three = (open_model(run) for run in runs)
    images, targets = stored(one, "test")
    pictures = [v2.functional.to_pil_image(image) for image in images]
    larger = torch.stack([from_picture(v2.CenterCrop(8)(v2.Resize(10)(p))) for p in pictures])
    middle = v2.CenterCrop(6)(images)
    return [softmax(one, images), softmax(two, middle), softmax(three, larger)], targets


def test_a_committee(three: list[Path]) -> None:
    each, targets = members_by_hand(three)
    mean = torch.stack(each).mean(0)
    found = together(three)
    assert found.metrics.confusion.tolist() == confusion(mean, targets)
    assert found.metrics.loss == pytest.approx(loss(mean, targets), rel=1e-5)
    said = [rows.argmax(1).tolist() for rows in each]
    assert found.disagreements == sum(len(set(answers)) > 1 for answers in zip(*said, strict=True))
    assert found.disagreements > 0
    for run, expected, (trained, metrics) in zip(three, each, found.members, strict=True):
        assert trained.path == run / "checkpoints" / "best.pt"
        assert metrics.confusion.tolist() == confusion(expected, targets)
        assert torch.equal(metrics.confusion, open_model(run).evaluate().metrics.confusion)
        assert metrics.loss == pytest.approx(open_model(run).evaluate().metrics.loss, rel=1e-5)


def test_classes_are_matched_by_name(three: list[Path]) -> None:
    usual = together(three).metrics
    path = three[2] / "checkpoints" / "best.pt"
    state = load_checkpoint(path)
    order = [2, 0, 1]
    state["classes"] = [f"class{number}" for number in order]
    weights = state["model"]
    assert isinstance(weights, dict)
    for name in ("output.weight", "output.bias"):
        value = weights[name]
        assert isinstance(value, Tensor)
        weights[name] = value[order].clone()
    save(path, state)
    found = together(three)
    assert torch.equal(found.metrics.confusion, usual.confusion)
    assert found.classes == ("class0", "class1", "class2")
    with pytest.raises(CheckpointError, match="the same ones in another order"):
        together(three[2:], crops="ten")
    state["classes"] = ["class0", "class1", "cow"]
    save(path, state)
    with pytest.raises(CheckpointError, match="unknown to the network: class2; not in the data: "):
        together(three)


def test_validation_images_that_a_member_has_learnt_are_refused(train: Callable[..., Path]) -> None:
    one, same, other = train("one"), train("same", {"train.epochs": 2}), train("other", {"seed": 1})
    assert together([one, same], split="validation").metrics.images == 24
    with pytest.raises(UsageError, match=r"other/.* was trained on some of the validation images"):
        together([one, other], split="validation")
    assert together([one, other], split="train").metrics.images == 72


def test_it_is_told_that_images_selected_the_weights(train: Callable[..., Path]) -> None:
    run = train("one", {"train.epochs": 3})
    best, last = (open_model(run / "checkpoints" / name) for name in ("best.pt", "last.pt"))
    assert open_model(run).evaluate("validation").selected
    assert together([run, run], split="validation").selected
    assert not open_model(run).evaluate("test").selected
    found = open_model(run / "checkpoints" / "last.pt").evaluate("validation")
    assert found.selected == (best.epoch == last.epoch)


def test_what_the_preprocessing_or_the_network_does_not_allow(train: Callable[..., Path]) -> None:
    plain, cropped = train("plain"), train("cropped", CROPS)
    with pytest.raises(UsageError, match=r"best\.pt: ten crops are cut where a center_crop is"):
        together([plain], crops="ten")
    with pytest.raises(UsageError, match=r"best\.pt: 144 crops"):
        together([cropped, plain], crops="144")
    with pytest.raises(UsageError, match=r"the scale 5 is smaller than the 6 that .* reads"):
        together([cropped], crops="dense", scales=(8, 5))
    local = [{"local": {"out": 2, "kernel": 3}}, "flatten", {"linear": {"out": "$num_classes"}}]
    with pytest.raises(UsageError, match=r"'local1' .* takes no larger maps"):
        together([train("local", {"arch": {"layers": local}})], crops="dense")


def test_images_that_a_member_cannot_take(train: Callable[..., Path]) -> None:
    small, large = train("small"), train("large", {"data.size": 12})
    with pytest.raises(
        DataError,
        match=r"large/.* cannot evaluate image 0: is 1 x 8 x 8 after its transforms, but the",
    ):
        together([small, large])
    with pytest.raises(DataError, match=r"1 x 12 x 12 .* evaluated on 1 x 8 x 8"):
        together([large, small])


def test_an_unreadable_image_is_told(
    train: Callable[..., Path], run_file: RunFile, tmp_path: Path
) -> None:
    for name in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / "images" / name).mkdir(parents=True)
        for number in range(3):
            image = torch.full((1, 8, 8), 80 * number, dtype=torch.uint8)
            v2.functional.to_pil_image(image).save(tmp_path / "images" / name / f"{number}.png")
    sized = {"resize": {"size": [8, 8]}}
    files = {
        "data": {"name": "image_folder", "root": str(tmp_path / "images"), "channels": 1},
        "data.transforms": {"train": [sized, "normalize"], "eval": [sized, "normalize"]},
    }
    run = train("files", files)
    assert together([run, run]).metrics.images == 6
    (tmp_path / "images" / "test" / "b" / "1.png").write_bytes(b"no image")
    with pytest.raises(UnreadableImageError, match=r"test/b/1\.png: not a "):
        together([run, run])
