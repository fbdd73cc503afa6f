"""Labels: figures against scikit-learn, thresholds of the validation, tables, tiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.metrics import average_precision_score, f1_score

from cnntrain.core.choices import ChoiceError
from cnntrain.core.errors import ConfigError, DataError
from cnntrain.data.metadata import Holdout
from cnntrain.data.read import open_splits
from cnntrain.model.images import find_images
from cnntrain.model.opening import open_model
from cnntrain.tasks.criterion import positive_tensor
from cnntrain.tasks.losses.binary_cross_entropy import binary_cross_entropy
from cnntrain.tasks.multilabel import FindLabels
from cnntrain.tasks.multilabel_report import average_precision, best_threshold, judge
from cnntrain.tasks.targets import Targets

Train = Callable[..., Any]
RunFile = Callable[..., Path]
NAMES = ("left", "low", "bright")


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """Every test of this file runs in a place of its own."""


@pytest.fixture
def labels_file(run_file: RunFile, of_table: Mapping[str, Any]) -> RunFile:
    def write(changes: Mapping[str, Any] | None = None) -> Path:
        own = {"task.name": "multilabel", "data.label_columns": list(NAMES)}
        return run_file({**deepcopy(of_table), **own, **(changes or {})})

    return write


@pytest.mark.parametrize("places", [1, 2, 9])  # few places: many scores are equal
def test_figures_are_scikit_learns(places: int) -> None:
    draws = np.random.default_rng(places)
    truth = draws.random((500, 4)) < (0.5, 0.1, 0.9, 0.3)
    scores = np.round(0.5 * draws.random((500, 4)) + 0.3 * truth * draws.random((500, 4)), places)
    limits = (0.3, 0.5, 0.4, 0.2)
    given = torch.tensor(scores), torch.tensor(truth).float()
    found = judge(*given, loss=1.0, names="abcd", thresholds=limits)
    theirs = [average_precision_score(truth[:, i], scores[:, i]) for i in range(4)]
    for ours, expected in zip(found.labels, theirs, strict=True):
        assert ours.average_precision == pytest.approx(expected, abs=1e-9)
    assert found.mean_average_precision == pytest.approx(
        average_precision_score(truth, scores, average="macro"), abs=1e-9
    )
    said = scores > np.array(limits)
    assert found.macro_f1 == pytest.approx(f1_score(truth, said, average="macro"), abs=1e-12)
    assert found.micro_f1 == pytest.approx(f1_score(truth, said, average="micro"), abs=1e-12)
    assert found.wrong == pytest.approx((said != truth).mean())
    for number, each in enumerate(found.labels):  # no other threshold has a larger F1
        steps = np.unique(scores[:, number])
        tried = [f1_score(truth[:, number], scores[:, number] > step) for step in (-1, *steps)]
        best = f1_score(truth[:, number], scores[:, number] > each.best_threshold)
        assert best == pytest.approx(max(tried), abs=1e-12)


def test_labels_that_no_image_has() -> None:
    scores, nothing = torch.tensor([0.2, 0.7]), torch.zeros(2, dtype=torch.bool)
    assert average_precision(scores, nothing) is None
    assert best_threshold(scores, nothing) == 0.5
    found = judge(scores[:, None], nothing[:, None].float(), loss=0.0, names="a", thresholds=[0.5])
    assert found.mean_average_precision is None
    with pytest.raises(DataError, match="no images to evaluate"):
        FindLabels(targets=Targets("labels", ("a",))).sums(torch.zeros(0, 1)).compute()


def test_the_loss_is_torchs_with_its_positive_weights() -> None:
    """torch's BCEWithLogitsLoss with pos_weight, summed over the labels in place of the mean."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 3, generator=generator).double()
    targets = (torch.rand(7, 3, generator=generator) < 0.4).double()
    for weights in (None, (2.0, 0.5, 7.0)):
        theirs = F.binary_cross_entropy_with_logits(
            logits, targets, pos_weight=None if weights is None else torch.tensor(weights)
        )
        ours = binary_cross_entropy(positive_weights=weights)
        assert float(ours(logits, targets)) == pytest.approx(3 * float(theirs), rel=1e-12)
    plain = binary_cross_entropy(positive_weights=(2.0, 0.5, 7.0)).plain()
    assert float(plain(logits, targets)) == pytest.approx(
        3 * float(F.binary_cross_entropy_with_logits(logits, targets)), rel=1e-12
    )


def test_thresholds_are_those_of_the_validation(
    labels_file: RunFile, train_tiny: Train, tmp_path: Path
) -> None:
    """In the test after training, in `eval` and in `predict`; in training they are 0.5."""
    outcome = train_tiny(labels_file({"train.epochs": 8}), out=tmp_path / "run")
    model = open_model(tmp_path / "run")
    validation = model.evaluate("validation").metrics
    assert [each.threshold for each in validation.labels] == [
        each.best_threshold for each in validation.labels
    ]
    assert model.evaluate("test").metrics == outcome.test
    limits = {n: each.threshold for n, each in zip(NAMES, validation.labels, strict=True)}
    assert set(limits.values()) != {0.5}
    [said] = model.predict("images/3.png")
    assert said.answer is not None
    data = said.answer.data()
    above = {name for name, p in data["probabilities"].items() if p > limits[name]}
    assert set(data["labels"]) == above


def test_one_column_of_labels_and_one_for_each(table: Path) -> None:
    """The same targets; an image may have no label."""
    one = {"file": str(table), "label_column": "tags", "label_separator": "|"}
    each = {"file": str(table), "label_columns": ("bright", "left", "low")}
    first, second = (open_splits("csv", parameters=p) for p in (one, each))
    assert first.classes == second.classes == ("bright", "left", "low")  # in alphabetical order
    assert first.form == second.form == "labels"
    assert torch.equal(first.train.targets, second.train.targets)
    assert (first.train.targets.sum(dim=1) == 0).any()
    text = table.read_text()
    table.write_text(text.replace(",1,", ",yes,"))
    with pytest.raises(DataError, match=r"'yes' in the column '\w+' is neither 0 nor 1"):
        open_splits("csv", parameters=each)


def test_weights_that_do_not_fit(labels_file: RunFile, train_tiny: Train) -> None:
    loss = {"name": "binary_cross_entropy"}
    with pytest.raises(ConfigError, match="there are 2 positive weights for 3 labels"):
        train_tiny(labels_file({"train.loss": {**loss, "positive_weights": [1, 2.0]}}))
    with pytest.raises(ConfigError, match="there are no classes to be weighted in multilabel"):
        train_tiny(labels_file({"train.loss": {**loss, "class_weights": "balanced"}}))


def test_tiles_have_the_labels_of_their_quarters(tmp_path: Path) -> None:
    """Each quarter is one image of the folders, and each image is in one tile."""
    for number, name in enumerate(("cat", "dog", "emu")):
        (tmp_path / "sets" / name).mkdir(parents=True)
        for index in range(6):
            shade = 80 * number + index
            Image.new("L", (3, 2), shade).save(tmp_path / f"sets/{name}/{index}.png")
    whole = open_splits("tiles", parameters={"root": str(tmp_path / "sets"), "channels": 1})
    images = torch.cat([part.images for part in whole.parts.values()])  # type: ignore[union-attr]
    targets = torch.cat([part.targets for part in whole.parts.values()])
    assert (whole.form, images.shape) == ("labels", (4, 1, 4, 6))
    seen: list[int] = []
    for image, target in zip(images, targets, strict=True):
        quarters = [image[0, y : y + 2, x : x + 3] for y in (0, 2) for x in (0, 3)]
        assert all(len(quarter.unique()) == 1 for quarter in quarters)
        shades = [int(quarter[0, 0]) for quarter in quarters]
        assert target.nonzero().flatten().tolist() == sorted({shade // 80 for shade in shades})
        seen += shades
    assert len(set(seen)) == 16  # of 18; two are too few for a tile


def test_balanced_positive_weights(labels_file: RunFile, train_tiny: Train, tmp_path: Path) -> None:
    """Counted in the training images: those without a label over those with it."""
    loss = {"name": "binary_cross_entropy", "positive_weights": "balanced"}
    file = labels_file({"train.loss": loss, "train.epochs": 1})
    train_tiny(file, out=tmp_path / "run")
    model = open_model(tmp_path / "run")
    targets = find_images(model, split="train").targets
    wanted = (targets == 0).sum(dim=0) / (targets == 1).sum(dim=0)
    found = model.evaluate("validation").metrics.loss
    images = find_images(model, split="validation")
    logits = model.logits(images.at(range(len(images.targets))))
    theirs = F.binary_cross_entropy_with_logits(logits, images.targets, pos_weight=wanted)
    assert found == pytest.approx(len(NAMES) * float(theirs), rel=1e-5)
    assert positive_tensor("balanced", labels="ab", counts=(1, 3), images=4).tolist() == [
        3, pytest.approx(1 / 3),
    ]  # fmt: skip
    with pytest.raises(ChoiceError, match="every training image has the label 'b'"):
        positive_tensor("balanced", labels="ab", counts=(1, 4), images=4)
    with pytest.raises(ChoiceError, match="there are 1 positive weights for 2 labels"):
        positive_tensor((2.0,), labels="ab", counts=(1, 4), images=4)


def test_class_folders_with_links(tmp_path: Path, table: Path) -> None:
    """A file, a symbolic link and a hard one are one image, with the labels of their folders."""
    for name, images in (("big", (0, 1)), ("red", (2,)), ("wet", (3,))):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for number in images:
            source = (tmp_path / "images" / f"{number}.png").read_bytes()
            (tmp_path / "photos" / name / f"{number}.png").write_bytes(source)
    big, red = (tmp_path / "photos" / name for name in ("big", "red"))
    (red / "also.png").symlink_to(big / "1.png")
    (tmp_path / "photos" / "wet" / "1.png").hardlink_to(big / "1.png")
    given, whole = {"root": f"{tmp_path}/photos"}, Holdout(validation=False)
    read = partial(open_splits, "image_folder", holdout=whole)
    found = read(parameters={**given, "links": "labels"})
    names = [Path(found.train.label(number)).name for number in range(len(found.train))]
    assert (found.form, found.classes) == ("labels", ("big", "red", "wet"))
    assert dict(zip(names, found.train.targets.tolist(), strict=True)) == {
        "0.png": [1, 0, 0], "1.png": [1, 1, 1], "2.png": [0, 1, 0], "3.png": [0, 0, 1],
    }  # fmt: skip
    plain = read(parameters=given)
    assert sorted(plain.train.targets.tolist()) == [0, 0, 1, 1, 2, 2]
