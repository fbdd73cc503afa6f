"""Vectors: losses by their formulas pair by pair, recall by scikit-learn's neighbours, batches."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import torch
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from cnntrain.assemble.networks import plan_network
from cnntrain.assemble.several import refuse_for_several
from cnntrain.config.load import try_to_load
from cnntrain.core.choices import LOSSES
from cnntrain.core.errors import ConfigError, DataError, UsageError
from cnntrain.model.ensemble import Ensemble
from cnntrain.model.opening import open_model
from cnntrain.tasks.distances import nearest_alike, ranks
from cnntrain.tasks.embedding import Embed
from cnntrain.tasks.targets import Targets
from cnntrain.train.together import Processes

RunFile = Callable[..., Path]
NAMES = ("a", "b", "c", "d")


@pytest.fixture(autouse=True)
def _apart(own_place: None) -> None:
    """Every test of this file runs in a place of its own."""


def drawn(images: int, length: int, classes: int = 4, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Vectors of length 1 in float64, and their classes."""
    draws = torch.Generator().manual_seed(seed)
    vectors = torch.randn(images, length, generator=draws, dtype=torch.float64)
    targets = torch.randint(classes, (images,), generator=draws)
    return vectors / vectors.norm(dim=1, keepdim=True), targets


def distance(one: Tensor, other: Tensor) -> float:
    return math.dist(one.tolist(), other.tolist())


def contrastive(vectors: Tensor, targets: Tensor, margin: float) -> float:
    """Equation 4 of Hadsell et al., the mean over all pairs."""
    costs = []
    for i, j in combinations(range(len(targets)), 2):
        d = distance(vectors[i], vectors[j])
        is_other = float(targets[i] != targets[j])
        costs.append((1 - is_other) * d**2 / 2 + is_other * max(0, margin - d) ** 2 / 2)
    return sum(costs) / len(costs)


def triplet(vectors: Tensor, targets: Tensor, margin: float) -> float:
    """Equation 3 of Schroff et al. with the nearest negative beyond the positive, one by one."""
    costs = []
    for a in range(len(targets)):
        to = [distance(vectors[a], each) ** 2 for each in vectors]
        negatives = [to[n] for n in range(len(to)) if targets[n] != targets[a]]
        for p in range(len(to)):
            if p != a and targets[p] == targets[a] and negatives:
                chosen = min((n for n in negatives if n > to[p]), default=max(negatives))
                costs.append(max(0.0, to[p] - chosen + margin))
    return sum(costs) / len(costs)


def supervised(vectors: Tensor, targets: Tensor, temperature: float) -> float:
    """Equation 2 of Khosla et al., image by image."""
    z, costs = vectors.tolist(), []
    near = [[math.exp(sum(map(math.prod, zip(i, a, strict=True))) / temperature) for a in z]
            for i in z]  # fmt: skip
    for i, row in enumerate(near):
        whole = sum(row) - row[i]
        own = [row[p] for p in range(len(z)) if p != i and targets[p] == targets[i]]
        if own:
            costs.append(-sum(math.log(each / whole) for each in own) / len(own))
    return sum(costs) / len(costs)


@pytest.mark.parametrize(
    ("name", "formula", "options"),
    [
        ("contrastive", contrastive, {"margin": 1.0}),
        ("contrastive", contrastive, {"margin": 1.7}),
        ("triplet", triplet, {"margin": 0.2}),
        ("triplet", triplet, {"margin": 1.5}),
        ("supervised_contrastive", supervised, {"temperature": 0.1}),
        ("supervised_contrastive", supervised, {"temperature": 1.3}),
    ],
)
def test_losses_are_the_papers(
    name: str, formula: Callable[..., float], options: dict[str, float]
) -> None:
    loss = LOSSES.load(name)(**options)
    for images, classes in ((13, 4), (6, 6), (9, 2)):
        vectors, targets = drawn(images, 3, classes, seed=images)
        found = float(loss(vectors, targets))
        if (torch.bincount(targets) > 1).any():
            assert found == pytest.approx(formula(vectors, targets, *options.values()), rel=1e-11)
        given = vectors.clone().requires_grad_()
        assert torch.autograd.gradcheck(lambda v, t=targets: loss(v, t), given)
    for few in (torch.zeros(1, 3), torch.zeros(4, 3)):  # nothing to compare; all the same
        few.requires_grad_()
        loss(few, torch.tensor([0, 0, 1, 2])[: len(few)]).backward()
        assert few.grad is not None
        assert few.grad.isfinite().all()


@pytest.mark.parametrize(("images", "classes"), [(400, 4), (600, 250), (7, 7)])
def test_recall_is_that_of_scikit_learns_neighbours(images: int, classes: int) -> None:
    """Leaving each image itself out; those that are alone in their class do not count."""
    vectors, targets = drawn(images, 5, classes)
    finder = NearestNeighbors(n_neighbors=min(11, images), algorithm="brute").fit(vectors.numpy())
    theirs = torch.tensor(finder.kneighbors(vectors.numpy())[1])[:, 1:]
    counts = torch.bincount(targets)
    is_query = counts[targets] > 1
    task = Embed(targets=Targets("distances", tuple(map(str, range(len(counts))))))
    found = task.judged(vectors, targets)
    assert found.images == images
    for k in (1, 5, 10):
        hits = (targets[theirs[:, :k]] == targets[:, None]).any(dim=1)[is_query]
        expected = float(hits.double().mean()) if len(hits) else None
        assert found.figures[f"recall_at_{k}"] == pytest.approx(expected, abs=1e-12)
    in_batch = targets[theirs[:, 0]] == targets
    assert torch.equal(nearest_alike(vectors, targets), in_batch)
    assert torch.equal(task.missed(vectors, targets), ~in_batch & is_query)


def test_vectors_that_are_all_the_same_find_nothing() -> None:
    """Whatever the order in which the images stand."""
    targets = torch.tensor([0] * 20 + [1] * 20)
    assert ranks(torch.zeros(40, 3), targets).tolist() == [20] * 40
    assert not nearest_alike(torch.zeros(40, 3), targets).any()
    found = Embed(targets=Targets("distances", ("a", "b"))).judged(torch.ones(40, 3), targets)
    assert "neighbours drawn by chance have 48.72 %" in str(
        Embed(targets=Targets("distances")).guessed(found)
    )  # 19 of 39


def test_the_loss_of_an_evaluation_is_of_its_images_not_of_its_batches() -> None:
    vectors, targets = drawn(150, 4)
    found = []
    for size in (7, 64, 150):
        task = Embed(targets=Targets("distances", NAMES))
        criterion = task.criterion(LOSSES.load("contrastive")())
        sums = task.sums(vectors)
        for some, own in zip(vectors.split(size), targets.split(size), strict=True):
            sums.add(3 * some, own, loss=criterion(3 * some, own), weight=criterion.weight(own))
        found.append(sums.compute())
    assert found[0] == found[1] == found[2]
    assert found[0].loss == pytest.approx(contrastive(vectors, targets, 1.0), rel=0.1)
    task = Embed(targets=Targets("distances", NAMES))  # without its loss: that of the batches
    sums = task.sums(vectors)
    sums.add(vectors, targets, loss=torch.tensor(2.5), weight=150.0)
    assert sums.compute().loss == 2.5
    with pytest.raises(DataError, match="no images to evaluate"):
        task.sums(vectors).compute()


def test_many_images_that_nothing_is_learnt_from_are_compared_in_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("cnntrain.tasks.embedding.MOST", 8)
    vectors, targets = drawn(20, 3)
    criterion = Embed(targets=Targets("distances", NAMES)).criterion(LOSSES.load("contrastive")())
    parts = [contrastive(v, t, 1.0) * len(t) / 20
             for v, t in zip(vectors.split(8), targets.split(8), strict=True)]  # fmt: skip
    assert float(criterion(vectors, targets)) == pytest.approx(sum(parts), rel=1e-11)
    learning = criterion(vectors.requires_grad_(), targets).detach()
    assert float(learning) == pytest.approx(contrastive(vectors, targets, 1.0), rel=1e-11)


@pytest.fixture
def vectors_file(run_file: RunFile, of_table: Mapping[str, Any]) -> RunFile:
    """Of the columns of the table one is the class of an image: eight, `x`, of about 7 images."""

    def write(changes: Mapping[str, Any] | None = None) -> Path:
        given = deepcopy(dict(of_table))
        given["arch"]["layers"][-1] = {"linear": {"out": 4}, "as": "output"}  # type: ignore[index]
        own = {"task.name": "embedding", "data.label_column": "x", "data.images_per_class": 4}
        return run_file({**given, **own, **(changes or {})})

    return write


def test_classes_that_never_train_are_evaluated(
    vectors_file: RunFile, train_tiny: Callable[..., Any], tmp_path: Path
) -> None:
    split = {"test_classes": ["0", "5"], "validation_classes": ["3", "6"]}
    file = vectors_file({"data.split": split, "train.select": "recall_at_5"})
    outcome = train_tiny(file, out=tmp_path / "run")
    model = open_model(tmp_path / "run")
    found = model.evaluate()
    assert found.split == "test"
    assert found.metrics == outcome.test
    assert [each.name for each in found.metrics.classes] == ["0", "5"]
    assert [each.name for each in model.evaluate("validation").metrics.classes] == ["3", "6"]
    assert model.evaluate("train").metrics.images == 60 - found.metrics.images - sum(
        each.images for each in model.evaluate("validation").metrics.classes
    )
    [said] = model.predict("images/3.png")
    assert said.answer is not None
    vector = torch.tensor(said.answer.data()["vector"])
    assert vector.shape == (4,)
    assert float(vector.norm()) == pytest.approx(1)
    assert model.features().values.shape == (found.metrics.images, 4)
    with pytest.raises(UsageError, match="have nothing in common to be averaged"):
        Ensemble([model, model]).predict("images/3.png")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"task.name": "classification"}, "no images of a batch are compared in classification"),
        ({"task.name": "classification", "data.images_per_class": None,
          "data.split": {"test_classes": ["1"]}}, "classes that it has not learnt"),
        ({"data.split": {"test": 5, "test_classes": ["1"]}}, "the test images are already a part"),
        ({"data.images_per_class": 5}, "leave no room for another class in a batch of 8"),
        ({"data.transforms.train": [{"resize": {"size": [8, 8]}}, "mixup", "normalize"]},
         "'mixup' mixes classes"),
        ({"train.accumulate": 2}, "its parts would not see each other"),
        ({"train.loss": {"name": "supervised_contrastive"}, "task.normalize": False},
         "is of vectors of length 1"),
        ({"train.loss": {"name": "cross_entropy"}}, "is not for distances between images"),
        ({"data.number_columns": ["y"], "data.label_column": None},
         "learns distances between images, and an image here has numbers"),
    ],
)  # fmt: skip
def test_rules(vectors_file: RunFile, changes: dict[str, Any], expected: str) -> None:
    _, problems = try_to_load(vectors_file(changes))
    assert expected in "\n".join(each.message for each in problems)


def test_several_processes_do_not_see_each_others_images(vectors_file: RunFile) -> None:
    loaded, _ = try_to_load(vectors_file())
    assert loaded is not None
    two, device = Processes(0, 2), torch.device("cpu")
    with pytest.raises(ConfigError, match="start it without torchrun, or give its sums"):
        refuse_for_several(loaded, plan_network(loaded), processes=two, device=device)


def test_what_only_the_images_show(vectors_file: RunFile, train_tiny: Callable[..., Any]) -> None:
    """Small batches that chance fills; a class that there is not; an output that is no vector."""
    with pytest.raises(ConfigError, match=r"meets 0\.2\d? others of its class on average"):
        train_tiny(vectors_file({"data.images_per_class": None, "data.batch_size": 3}))
    with pytest.raises(ConfigError, match="there is no class '77'"):
        train_tiny(vectors_file({"data.split": {"test_classes": ["77"]}}))
    loaded, _ = try_to_load(vectors_file({"arch": {"layers": [{"conv": {"out": 4, "kernel": 3}}]}}))
    assert loaded is not None
    with pytest.raises(ConfigError, match="ends in 4 maps of 6x6, not in a vector"):
        plan_network(loaded)
