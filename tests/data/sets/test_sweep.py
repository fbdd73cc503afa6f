"""What every registered data set promises; here with those that need no files."""

import pytest
import torch
from scipy.optimize import linprog

from cnntrain.core.errors import DataError
from cnntrain.data import DATASETS
from cnntrain.data.loaders import open_data
from cnntrain.data.metadata import DatasetFacts, facts
from cnntrain.data.sets.points import points
from cnntrain.data.sets.synthetic import synthetic
from cnntrain.data.splits import Pixels

WITHOUT_FILES = {
    "digits": {},
    "points": {"points": 10, "separable": False},
    "synthetic": {"size": [6, 9], "channels": 2, "classes": 4, "images": 20},
}


@pytest.mark.parametrize("name", DATASETS.names())
def test_every_parameter_is_described(name: str) -> None:
    entry = DATASETS.entry(name)
    assert entry.summary
    assert [p.name for p in entry.parameters if not p.description] == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("digits", DatasetFacts(10, 1, (8, 8), validation=False, forms=("classes",))),
        ("mnist", DatasetFacts(10, 1, (28, 28), validation=False, forms=("classes",))),
        ("fashion_mnist", DatasetFacts(10, 1, (28, 28), validation=False, forms=("classes",))),
        ("cifar10", DatasetFacts(10, 3, (32, 32), validation=False, forms=("classes",))),
        ("cifar100", DatasetFacts(100, 3, (32, 32), validation=False, forms=("classes",))),
    ],
)
def test_published_facts(name: str, expected: DatasetFacts) -> None:
    assert facts(name, {}) == expected


@pytest.mark.parametrize("name", WITHOUT_FILES)
def test_facts_are_true(name: str) -> None:
    parameters, complaints = DATASETS.entry(name).check(WITHOUT_FILES[name])
    assert complaints == []
    stated, data = facts(name, parameters), open_data(name, parameters=parameters)
    assert stated.num_classes == len(data.classes)
    batch = next(data.train.batches(1))
    assert stated.size is not None
    assert batch.images.shape[1:] == (stated.channels, *stated.size)
    assert batch.targets.max() < len(data.classes)


def test_facts_read_of_real_sets_are_true(real_data) -> None:
    for name in ("mnist",):
        splits = DATASETS.load(name)(root=str(real_data))
        stated = facts(name, {"root": str(real_data)})
        assert stated == DatasetFacts(
            len(splits.classes),
            splits.train.channels,
            splits.train.size,
            validation=splits.validation is not None,
            forms=("classes",),
        )


def test_digits_are_those_of_scikit_learn() -> None:
    splits = DATASETS.load("digits")()
    assert len(splits.train) == 1797
    assert splits.train.images.max() == 255
    # scikit-learn's documentation shows the first image, a zero, whose first row is
    # 0 0 5 13 9 1 0 0 in steps of 16
    expected = [round(v * 255 / 16) for v in (0, 0, 5, 13, 9, 1, 0, 0)]
    assert splits.train.images[0, 0, 0].tolist() == expected


def test_synthetic_images_are_repeatable_balanced_and_learnable() -> None:
    first, again = synthetic(size=12, images=200), synthetic(size=12, images=200)
    assert isinstance(first.train, Pixels)
    assert isinstance(first.test, Pixels)
    assert torch.equal(first.train.images, again.train.images)
    assert not torch.equal(
        first.train.images, synthetic(size=12, images=200, pattern_seed=1).train.images
    )
    assert torch.bincount(first.train.targets).tolist() == [20] * 10
    means = torch.stack(
        [first.train.images[first.train.targets == n].float().mean(0).flatten() for n in range(10)]
    )
    distance = torch.cdist(first.test.images.float().flatten(1), means)
    assert (distance.argmin(1) == first.test.targets).float().mean() > 0.95
    assert synthetic(test_images=0).test is None


@pytest.mark.parametrize("separable", [True, False])
def test_a_line_separates_points_that_are_said_to_be_separable(separable: bool) -> None:
    """There is one if s (w x + b) >= 1 has a solution: a linear programme."""
    splits = points(separable=separable, points=400, seed=1)
    assert isinstance(splits.train, Pixels)
    places = splits.train.images.flatten(1).double()
    ones = torch.ones(len(places), 1, dtype=torch.float64)
    signs = splits.train.targets[:, None] * 2 - 1
    rows = (-signs * torch.cat([places, ones], dim=1)).numpy()
    found = linprog([0, 0, 0], A_ub=rows, b_ub=-ones.numpy(), bounds=(None, None))
    assert found.success == separable
    assert torch.bincount(splits.train.targets).tolist() == [200, 200]
    again = points(separable=separable, points=400, seed=1)
    assert torch.equal(again.train.images, splits.train.images)
    assert isinstance(splits.test, Pixels)
    both = torch.cat([splits.train.images, splits.test.images]).flatten(1)
    assert len(both.unique(dim=0)) == 1400, "no point is there twice"
    assert (splits.test.targets.diff().abs() == 1).all()


def test_more_points_than_places_are_refused() -> None:
    with pytest.raises(DataError, match="more than the 14,"):
        points(points=20_000)
