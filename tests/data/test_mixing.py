"""Mixup and cutmix: the papers' formulas written out, torchvision, and known distributions."""

from random import Random

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import v2

from cnntrain.data.batch import Batch
from cnntrain.data.loaders import Data, open_data, unmixed
from cnntrain.data.metadata import Holdout
from cnntrain.data.mixing import MixedLoader, Mixing
from cnntrain.data.pipeline import build_eval_pipeline, build_pipeline
from cnntrain.data.preview import contact_sheet
from cnntrain.data.resident import ResidentLoader
from cnntrain.data.stream import StreamLoader
from cnntrain.data.transform_errors import ListError, TransformError
from cnntrain.data.transforms.cutmix import Cutmix, rectangle
from cnntrain.data.transforms.mixup import Mixup

COUNT, CLASSES, SIZE = 6, 8, (10, 14)
SHARES = torch.eye(CLASSES)[:COUNT]
"""Each image is of a class of its own, so that a target tells where its parts come from."""


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(COUNT, 3, *SIZE, generator=torch.Generator().manual_seed(0))


def own_share(targets: torch.Tensor) -> float:
    """What the first image kept of itself; all of a batch keep the same."""
    kept = targets.diagonal()
    assert (kept - kept[0]).abs().max() < 1e-6
    return float(kept[0])


def test_mixup_written_out_again(images) -> None:
    mixed, targets = Mixup(alpha=1.0).mix(images, SHARES, Random(4))
    share = own_share(targets)
    assert 0.05 < share < 0.95
    for i in range(COUNT):
        j = (i - 1) % COUNT
        for ours, given in ((mixed, images), (targets, SHARES)):
            expected = share * given[i].double() + (1 - share) * given[j].double()
            torch.testing.assert_close(ours[i].double(), expected, rtol=1e-5, atol=1e-6)


def test_cutmix_written_out_again(images) -> None:
    sizes = set()
    for seed in range(20):
        mixed, targets = Cutmix().mix(images, SHARES, Random(seed))
        foreign = (mixed != images).all(dim=1)
        rows, columns = foreign[0].any(dim=1).nonzero(), foreign[0].any(dim=0).nonzero()
        area = 0
        if len(rows):
            box = foreign[0, rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            assert box.all(), "a rectangle"
            area = box.numel()
        assert int(foreign[0].sum()) == area
        sizes.add(area)
        for i in range(COUNT):
            j = (i - 1) % COUNT
            assert torch.equal(foreign[i], foreign[0])
            assert torch.equal(mixed[i], torch.where(foreign[0], images[j], images[i]))
            # lambda is corrected to the exact share of the pixels that are left
            left = 1 - area / (SIZE[0] * SIZE[1])
            torch.testing.assert_close(targets[i], left * SHARES[i] + (1 - left) * SHARES[j])
    assert len(sizes) > 10


def test_mixup_is_torchvisions(images) -> None:
    mixed, targets = Mixup(alpha=1.0).mix(images, SHARES, Random(1))
    labels = torch.arange(COUNT)
    oracle = v2.MixUp(num_classes=CLASSES)
    params = {"lam": own_share(targets), "labels": labels, "batch_size": COUNT}
    torch.testing.assert_close(mixed, oracle.transform(images, params))
    torch.testing.assert_close(targets, oracle.transform(labels, params))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("middle", [(0, 0), (3, 9), (9, 13)])
def test_a_rectangle_is_the_papers(share: float, middle: tuple[int, int]) -> None:
    """r_w = W sqrt(share), r_h = H sqrt(share) about the middle, cut off (equation 2)."""
    top, left, bottom, right = rectangle(SIZE, share=share, middle=middle)
    for low, high, side, at in zip((top, left), (bottom, right), SIZE, middle, strict=True):
        half = int(0.5 * share**0.5 * side)
        expected = [x for x in range(at - half, at + half) if 0 <= x < side]
        assert list(range(low, high)) == expected


@pytest.mark.parametrize("alpha", [0.2, 1.0, 3.0])
def test_shares_come_from_the_beta_distribution(alpha: float) -> None:
    mixup, random = Mixup(alpha=alpha), Random(0)
    tiny = torch.zeros(COUNT, 1, 1, 1)
    found = [own_share(mixup.mix(tiny, SHARES, random)[1]) for _ in range(1500)]
    assert stats.kstest(found, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_areas_are_distributed_as_torchvisions() -> None:
    cutmix, random = Cutmix(alpha=0.7), Random(0)
    image = torch.zeros(COUNT, 1, 32, 48)
    ours = [own_share(cutmix.mix(image, SHARES, random)[1]) for _ in range(1500)]
    torch.manual_seed(0)
    oracle = v2.CutMix(alpha=0.7, num_classes=2)
    theirs = [oracle.make_params([image])["lam_adjusted"] for _ in range(1500)]
    assert stats.ks_2samp(ours, theirs).pvalue > 0.01


@pytest.mark.parametrize("mixing", [Mixup(alpha=1.0), Cutmix()])
def test_memory_format_type_and_input_are_left_alone(mixing: Mixing, images) -> None:
    given = images.contiguous(memory_format=torch.channels_last)
    before = given.clone()
    mixed, targets = mixing.mix(given, SHARES, Random(2))
    assert torch.equal(given, before)
    assert torch.equal(SHARES, torch.eye(CLASSES)[:COUNT])
    assert mixed.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(mixed, mixing.mix(images, SHARES, Random(2))[0])
    assert mixed.dtype == targets.dtype == torch.float32
    torch.testing.assert_close(targets.sum(dim=1), torch.ones(COUNT))
    alone, target = mixing.mix(images[:1], SHARES[:1], Random(2))
    torch.testing.assert_close(alone, images[:1])
    torch.testing.assert_close(target, SHARES[:1])


MIXED = [("horizontal_flip", {}), ("normalize", {}), ("mixup", {"alpha": 1.0})]


def opened(transforms=MIXED, **options) -> Data:
    parameters = {"size": 8, "classes": 4, "images": 44, "test_images": 0}
    return open_data(
        "synthetic", parameters=parameters, train_transforms=transforms, batch_size=8, **options
    )


def same(ours: list[Batch], theirs: list[Batch]) -> bool:
    return len(ours) == len(theirs) and all(
        torch.equal(a.images, b.images) and torch.equal(a.targets, b.targets)
        for a, b in zip(ours, theirs, strict=True)
    )


@pytest.mark.parametrize("start", [0, 1, 5, 6])
def test_starting_in_the_middle_gives_the_same_batches(start: int) -> None:
    whole = list(opened().train.batches(3))
    assert same(list(opened().train.batches(3, start=start)), whole[start:])
    assert not same(list(opened().train.batches(4)), whole)
    assert not same(list(opened(seed=1).train.batches(3)), whole)


def test_batches_are_those_without_mixing_mixed() -> None:
    """Order and augmentation stay; each batch has a share of its own."""
    shares = []
    for mixed, plain in zip(
        opened().train.batches(2), opened(MIXED[:2]).train.batches(2), strict=True
    ):
        onehot = torch.eye(4)[plain.targets]
        other, others = plain.images.roll(1, 0), onehot.roll(1, 0)
        differ = (onehot != others).any(dim=1)
        share = float(mixed.targets[differ].gather(1, plain.targets[differ][:, None])[0])
        shares.append(share)
        torch.testing.assert_close(mixed.targets, share * onehot + (1 - share) * others)
        expected = share * plain.images + (1 - share) * other
        torch.testing.assert_close(mixed.images, expected, rtol=1e-4, atol=1e-5)
    assert len(set(shares)) == 6


def test_streamed_images_are_mixed_too(make_folder) -> None:
    root = make_folder({"train/a": 5, "train/b": 4})
    made = [
        open_data(
            "image_folder",
            parameters={"root": str(root)},
            train_transforms=MIXED[1:],
            batch_size=4,
            memory=memory,
        )
        for memory in ("resident", "stream")
    ]
    kinds = [type(unmixed(data.train)) for data in made]
    assert kinds == [ResidentLoader, StreamLoader]
    assert same(*(list(data.train.batches(1)) for data in made))
    assert next(iter(made[0].train.batches(1))).targets.shape == (4, 2)
    for data in made:
        data.close()


def test_nothing_is_wrapped_where_nothing_mixes() -> None:
    assert isinstance(opened(MIXED[:2]).train, ResidentLoader)
    assert opened().validation is None
    data = opened(holdout=Holdout(0.25))
    assert isinstance(data.validation, ResidentLoader)
    assert isinstance(data.train, MixedLoader)
    assert (data.train.size, data.train.batches_per_epoch) == (33, 5)


def test_probabilities_share_the_batches() -> None:
    both = [
        ("mixup", {"alpha": 1.0, "probability": 0.3}),
        ("cutmix", {"probability": 0.5}),
    ]
    loader = opened(both).train
    kinds = {"plain": 0, "mixup": 0, "cutmix": 0}
    epochs = 100
    plain = opened([]).train
    for epoch in range(epochs):
        for batch, before in zip(loader.batches(epoch), plain.batches(epoch), strict=True):
            if batch.targets.ndim == 1:
                assert torch.equal(batch.images, before.images)
                kinds["plain"] += 1
            else:
                # cutmix leaves every pixel as it was in one of the two
                cut = (batch.images == before.images) | (batch.images == before.images.roll(1, 0))
                kinds["cutmix" if cut.all() else "mixup"] += 1
    expected = {"plain": 0.2, "mixup": 0.3, "cutmix": 0.5}
    for kind, share in expected.items():
        deviation = np.sqrt(600 * share * (1 - share))
        assert abs(kinds[kind] - 600 * share) < 4 * deviation, kind


def test_wrong_places_and_probabilities_are_refused() -> None:
    with pytest.raises(
        TransformError, match=r"horizontal_flip: .*before what mixes them"
    ) as caught:
        build_pipeline([{"name": "mixup"}, {"name": "horizontal_flip"}])
    assert caught.value.position == 1
    with pytest.raises(TransformError, match=r"cutmix: .*add up to 1\.5; .*probability: 0\.5"):
        build_pipeline([{"name": "mixup"}, {"name": "cutmix", "probability": 0.5}])
    with pytest.raises(TransformError, match="mixup: is random; evaluation"):
        build_eval_pipeline([{"name": "mixup"}])
    with pytest.raises(ListError, match="mixup in the transforms for eval"):
        open_data("digits", eval_transforms=[("normalize", {}), ("mixup", {})])


def test_the_contact_sheet_names_both_classes(monkeypatch) -> None:
    data = opened([("normalize", {}), ("mixup", {"alpha": 50.0})])
    texts = []
    monkeypatch.setattr(
        "cnntrain.data.preview.shortened", lambda text, *_, **__: texts.append(text) or text
    )
    contact_sheet(data.train, targets=data.targets, statistics=data.statistics, columns=8, rows=1)
    batch = next(iter(data.train.batches(1)))
    for text, target in zip(texts, batch.targets, strict=True):
        names = text.split(" + ")
        assert names[0] == data.classes[int(target.argmax())]
        assert len(names) == int((target > 0).sum())
    assert max(text.count("+") for text in texts) == 1
