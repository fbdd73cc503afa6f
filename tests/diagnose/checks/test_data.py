"""Labels and images with planted faults; the expected numbers are the ones that were planted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from matplotlib.figure import Figure

from cnntrain.data.sets.digits import digits
from cnntrain.data.splits import Pixels
from cnntrain.diagnose.checks import data
from cnntrain.diagnose.checks.data import check_data
from cnntrain.diagnose.diagnose import conclude
from cnntrain.diagnose.neighbours import Sample, votes_of
from cnntrain.diagnose.report import Report

CLASSES = tuple("abcde")
IMAGES = 400


def clouds(seed: int, images: int = IMAGES) -> Sample:
    """Images in five well separated clouds, in an order that says nothing."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(5, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    targets = torch.randint(0, 5, (images,), generator=generator)
    noise = 0.3 * torch.randn(images, 3, 4, 4, generator=generator)
    return Sample("train", centres[targets] + noise, targets)


def check(train: Sample, **changes: Any) -> Report:
    counts = {"train": tuple(torch.bincount(train.targets, minlength=5).tolist())}
    given: dict[str, Any] = {
        "other": None,
        "class_names": CLASSES,
        "counts": counts,
        "shared": {},
        "is_weighted": False,
    }
    return check_data(train=train, **given | changes)


def faults(report: Report) -> list[str]:
    return [finding.fault for finding in report.findings]


def test_nothing_is_found_in_sound_data() -> None:
    report = check(clouds(1), other=replace(clouds(2), split="validation"))
    assert faults(report) == []
    assert report.numbers["agreement"] == 1.0


@pytest.mark.parametrize(("picture", "words"), [(None, "one and the same picture"), (0.5, "empty")])
def test_one_picture_for_many(picture: float | None, words: str) -> None:
    """40 of 400 images, of all classes; in one class alone they would be images seen often."""
    sound = clouds(1)
    images = sound.images.clone()
    images[:40] = images[50] if picture is None else picture
    report = check(replace(sound, images=images))
    assert faults(report)[0] == "same_picture"
    count = 41 if picture is None else 40
    assert f"{count} of 400 training images" in report.findings[0].headline
    assert words in report.findings[0].headline
    of_one = replace(sound, images=images, targets=sound.targets.index_fill(0, torch.arange(40), 2))
    if picture is not None:
        assert "same_picture" not in faults(check(of_one))


def test_another_split_without_colours() -> None:
    sound, other = clouds(1), replace(clouds(2), split="validation")
    grey = other.images.mean(dim=1, keepdim=True).expand_as(other.images)
    (finding,) = check(sound, other=replace(other, images=grey)).findings
    assert finding.fault == "splits_differ"
    assert "their colour differs" in finding.evidence


@pytest.mark.parametrize(("copies", "is_named"), [(8, True), (2, False)])
def test_copies_of_a_few_images(copies: int, is_named: bool) -> None:
    """Of one class each image is there so many times."""
    sound = clouds(1)
    places = (sound.targets == 2).nonzero().flatten()
    kept = places[: len(places) // copies]
    images = sound.images.clone()
    images[places] = images[kept[torch.arange(len(places)) % len(kept)]]
    found = check(replace(sound, images=images)).findings
    assert [each.fault for each in found] == (["same_picture"] if is_named else [])
    if is_named:
        said = f"of 'c' {len(places)} training images are copies of {len(kept)}"
        assert found[0].headline == said


@pytest.mark.parametrize(("count", "found"), [(5, []), (20, ["suspect"]), (60, ["fault"])])
def test_images_with_two_labels(count: int, found: list[str]) -> None:
    """A suspicion from 2 % of 400 images on, a fault from 10 % on."""
    report = check(clouds(1), doubled=[("b/1.png", "a/1.png")] * count)
    assert [each.verdict for each in report.findings] == found
    assert faults(report) == ["labels_noisy"] * len(found)
    assert not found or f"{count} of 400 training images are there again" in report.headline


def test_images_in_which_next_to_nothing_is_left() -> None:
    """One of 256 pixels is 1, all others are 0; with a third of them it is a drawing."""
    places = torch.arange(200) % 256
    bare = F.one_hot(places, 256).float().view(200, 1, 16, 16)
    targets = torch.arange(200) % 5
    report = check(Sample("train", bare, targets))
    assert faults(report)[0] == "same_picture"
    assert "100% of the pixels of one have one value" in report.findings[0].headline
    drawn = (torch.rand(200, 1, 16, 16, generator=torch.Generator().manual_seed(0)) < 0.3).float()
    assert "same_picture" not in faults(check(Sample("train", drawn, targets)))


def test_channels_that_stand_where_columns_should() -> None:
    """Smooth pictures, as height x width x channel values; of their own they are quiet."""
    coarse = torch.randn(200, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    smooth = F.interpolate(coarse, size=(16, 16), mode="bilinear") + 0.1
    sound = Sample("train", smooth, torch.arange(200) % 5)
    assert "misread_pixels" not in faults(check(sound))
    interleaved = smooth.permute(0, 2, 3, 1).reshape(smooth.shape)
    assert "misread_pixels" in faults(check(replace(sound, images=interleaved)))


def test_noisy_labels() -> None:
    sound = clouds(1)
    generator = torch.Generator().manual_seed(3)
    wrong = torch.rand(IMAGES, generator=generator) < 0.3
    other = (sound.targets + torch.randint(1, 5, (IMAGES,), generator=generator)) % 5
    names = [f"image {place}" for place in range(IMAGES)]
    noisy = replace(sound, targets=torch.where(wrong, other, sound.targets), names=names)
    report = check(noisy)
    listed = {str(row[0]) for row in report.tables[1].rows}
    assert len(listed) == 50
    assert listed <= {names[place] for place in wrong.nonzero().flatten().tolist()}
    assert faults(report) == ["labels_noisy"]
    planted = float(wrong.float().mean())
    said = re.match(r"about (\d+)% of the labels look wrong", report.findings[0].headline)
    assert said is not None
    assert abs(int(said[1]) / 100 - planted) < 0.03
    assert 0.5 * planted <= report.numbers["contradicted"] <= planted + 0.02


def shuffled(images: int) -> Sample:
    """Labels that have nothing to do with the images."""
    sound = clouds(1, images)
    order = torch.randperm(images, generator=torch.Generator().manual_seed(5))
    return replace(sound, targets=sound.targets[order])


def test_labels_that_mean_nothing() -> None:
    (finding,) = check(shuffled(1600)).findings
    assert (finding.fault, finding.is_certain) == ("labels_noisy", True)
    assert finding.headline == "the labels have nothing to do with the images"
    assert "400 others (guessing: 20%)" in finding.evidence  # a quarter, and five classes


def test_labels_that_mean_nothing_of_images_that_are_hard_to_memorise() -> None:
    """They are learnt for longer, until a network that can tell images apart has memorised some."""
    generator = torch.Generator().manual_seed(2)
    coarse = torch.randn(1600, 1, 4, 4, generator=generator)
    smooth = F.interpolate(coarse, size=(16, 16), mode="bilinear")
    targets = torch.randint(5, (1600,), generator=generator)
    (finding,) = check(Sample("train", smooth, targets)).findings
    assert finding.headline == "the labels have nothing to do with the images"


def test_images_that_look_like_noise() -> None:
    """What can be learnt in neither case: of smooth images the labels are to blame."""
    generator = torch.Generator().manual_seed(0)
    coarse = torch.randn(1600, 1, 4, 4, generator=generator)
    smooth = F.interpolate(coarse, size=(16, 16), mode="bilinear")
    noise = torch.randn(1600, 1, 16, 16, generator=generator)
    targets = torch.randint(5, (1600,), generator=generator)
    assert "misread_pixels" not in faults(check(Sample("train", smooth, targets)))
    report = check(Sample("train", noise, targets))
    assert faults(report) == ["misread_pixels", "labels_noisy"]
    assert "look like noise" in report.headline
    (finding,) = conclude([report]).findings
    assert finding.fault == "misread_pixels"


def pictures(count: int = 400) -> Sample:
    """Smooth images of 16 x 16, of no class in particular."""
    generator = torch.Generator().manual_seed(7)
    coarse = torch.randn(count, 3, 5, 5, generator=generator)
    images = F.interpolate(coarse, size=(16, 16), mode="bilinear")
    return Sample("train", images, torch.arange(count) % 5)


def wrapped(images: torch.Tensor) -> torch.Tensor:
    """The first rows of images of twice the size, each over two rows."""
    large = F.interpolate(images, size=(32, 32), mode="bilinear")
    return large.flatten(2)[..., :256].view_as(images)


def cut_wrongly(images: torch.Tensor) -> torch.Tensor:
    """The right part of an image, and the left part of the next one."""
    return torch.cat([images[..., 6:], images.roll(-1, 0)[..., :6]], dim=3)


def tiled(images: torch.Tensor) -> torch.Tensor:
    """Over blocks of 4 x 4 pixels."""
    generator = torch.Generator().manual_seed(11)
    blocks = torch.randn(len(images), 3, 4, 4, generator=generator)
    return images + 2 * F.interpolate(blocks, size=(16, 16), mode="nearest")


def covered(images: torch.Tensor) -> torch.Tensor:
    images = images.clone()
    images[..., 4:12, 3:12] = 0.5
    return images


def nearly_black(images: torch.Tensor) -> torch.Tensor:
    """All but the brightest three of a hundred values are cut off."""
    return (images - images.quantile(0.97)).clamp_min(0)


@pytest.mark.parametrize(
    ("change", "fault", "said"),
    [
        (wrapped, "misread_pixels", "every second row is more like the next such one than like"),
        (cut_wrongly, "misread_pixels", "there is a seam behind column 10"),
        (
            tiled,
            "misread_pixels",
            "blocks in the same places of all images: behind row 4, row 8, row",
        ),
        (covered, "constant_channel", "100% of the middle of the images is the same in all"),
        (nearly_black, "same_picture", "the training images are as good as empty: 9"),
        (lambda x: (1000 * x) % 1, "misread_pixels", "the images look like noise"),
    ],
)
def test_images_that_were_put_together_wrongly(change: Any, fault: str, said: str) -> None:
    sound = pictures()
    assert not {"misread_pixels", "constant_channel", "same_picture"} & set(faults(check(sound)))
    report = check(replace(sound, images=change(sound.images)))
    assert [said in each.headline for each in report.findings if each.fault == fault] == [True]


def test_images_that_look_odd_and_are_known_are_a_suspicion() -> None:
    """The class is in the mean, and the rest is noise."""
    generator = torch.Generator().manual_seed(8)
    targets = torch.arange(400) % 5
    noise = torch.randn(400, 1, 16, 16, generator=generator)
    light = Sample("train", noise + targets[:, None, None, None] * 2.0 - 4, targets)
    (finding,) = check(replace(light, images=light.images)).findings
    assert (finding.fault, finding.is_certain) == ("misread_pixels", False)


def test_a_covered_border_is_no_seam() -> None:
    """Nor is a frame around all images anything that covers their middle."""
    sound = pictures()
    framed = sound.images.clone()
    framed[..., :4] = framed[..., -4:] = 1.5
    assert not {"misread_pixels", "constant_channel"} & set(
        faults(check(replace(sound, images=framed)))
    )


def test_an_edge_in_the_same_place_of_a_few_drawings_is_no_seam() -> None:
    """All others show no more than grain there: the mean over the images is the edge of those."""
    generator = torch.Generator().manual_seed(10)
    images = 0.9 + 0.02 * torch.randn(90, 1, 24, 24, generator=generator)
    tops, lefts = torch.randint(8, 13, (2, 90), generator=generator)
    tops[::6] = 4
    for image, top, left in zip(images, tops.tolist(), lefts.tolist(), strict=True):
        image[:, top : top + 9, left : left + 9] = torch.rand(1, 1, 1, generator=generator) / 2
    assert "misread_pixels" not in faults(check(Sample("train", images, torch.arange(90) % 3)))


def test_images_of_one_colour_are_not_empty() -> None:
    generator = torch.Generator().manual_seed(9)
    flat = torch.rand(400, 3, 1, 1, generator=generator).expand(-1, -1, 16, 16)
    assert "same_picture" not in faults(check(Sample("train", flat, torch.arange(400) % 5)))


def test_too_few_labels_to_see_that_they_mean_nothing_are_not_judged() -> None:
    """With 25 images to ask about, 20 % and 40 % are within three standard errors."""
    report = check(shuffled(100))
    assert (faults(report), report.applies) == ([], False)
    assert "could not be judged" in report.headline


def test_doubtful_labels_are_shown_the_surest_first(monkeypatch: pytest.MonkeyPatch) -> None:
    sound, shown = clouds(1), []
    monkeypatch.setattr(data, "doubtful_images", lambda *given: shown.append(given) or Figure())
    targets = sound.targets.clone()
    targets[:20] = (targets[:20] + 1) % 5
    noisy = replace(sound, targets=targets)
    votes = votes_of(noisy, noisy)
    check(noisy)
    images = shown[0][0]
    places = [(noisy.images == image).flatten(1).all(dim=1).nonzero().item() for image in images]
    shares = votes.share[torch.tensor(places)].tolist()
    assert len(shares) == int(votes.contradicts(targets).sum())
    assert shares == sorted(shares, reverse=True)
    assert len(set(shares)) > 1


def test_classes_that_look_alike_are_no_noise() -> None:
    sound = clouds(1)
    pair = (sound.targets == 3) | (sound.targets == 4)
    noise = torch.randn(sound.images.shape, generator=torch.Generator().manual_seed(3))
    one_cloud = torch.where(pair[:, None, None, None], 1 + 0.3 * noise, sound.images)
    report = check(replace(sound, images=one_cloud))
    assert report.numbers["agreement"] < 0.9
    assert faults(report) == []


def test_two_classes_that_overlap_are_no_noise() -> None:
    """Images on a line: the classes change gradually along it, or labels are wrong all over it."""
    generator = torch.Generator().manual_seed(4)
    x = torch.rand(IMAGES, generator=generator) - 0.5
    images = x[:, None, None, None].expand(-1, 3, 4, 4)
    overlapping = (2 * x + 0.5 * torch.randn(IMAGES, generator=generator) > 0).long()
    changed = ((x > 0) ^ (torch.rand(IMAGES, generator=generator) < 0.15)).long()
    given = {"class_names": CLASSES[:2], "counts": {"train": (IMAGES // 2, IMAGES // 2)}}
    overlap = check(Sample("train", 3 * images, overlapping), **given)
    assert overlap.numbers["contradicted"] > 0.08  # as many as wrong labels would have
    assert faults(overlap) == []
    assert faults(check(Sample("train", 3 * images, changed), **given)) == ["labels_noisy"]


def near_copies(*, noise: float) -> Sample:
    """Each of 40 images of a digit 25 times, with noise."""
    few, generator = digits().train, torch.Generator().manual_seed(5)
    assert isinstance(few, Pixels)
    order = torch.arange(40).repeat(25)
    images = few.images[order].float() / 255
    images = images + noise * torch.randn(images.shape, generator=generator)
    return Sample("train", 4 * images - 2, few.targets[order])


@pytest.mark.parametrize("noise", [0.01, 0.05])
def test_near_copies_of_a_few_pictures(noise: float) -> None:
    counts = {"train": (100,) * 10}
    report = check(near_copies(noise=noise), class_names=tuple("abcdefghij"), counts=counts)
    assert "same_picture" in faults(report)
    found = next(each for each in report.findings if each.fault == "same_picture")
    said = re.fullmatch(
        r"1,000 training images are nearly copies of about (\d\d) pictures", found.headline
    )
    assert said is not None
    assert 36 <= int(said[1]) <= 44


@pytest.mark.parametrize("images", [1, 2, 6, 12, 24, 60])
def test_few_images_of_each_class_are_no_copies(images: int) -> None:
    sound = pictures(images)
    targets = torch.arange(images) % 12
    names = tuple("abcdefghijkl")
    counts = {"train": tuple(torch.bincount(targets, minlength=12).tolist())}
    report = check(replace(sound, targets=targets), class_names=names, counts=counts)
    assert "same_picture" not in faults(report)


def test_one_image_far_from_all_others_makes_no_copies() -> None:
    sound = clouds(1)
    sound.images[0] += 1000
    assert "same_picture" not in faults(check(sound))


@pytest.mark.parametrize("by", [1, -1, 2])
def test_labels_that_slipped(by: int) -> None:
    sound = clouds(1)
    slipped = replace(sound, targets=sound.targets.roll(by), moved={by: sound.targets})
    report = check(slipped)
    assert faults(report) == ["labels_shifted"]
    assert ("moved 1 place " if abs(by) == 1 else "moved 2 places ") in report.headline


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: replace(s, images=5 - s.images), "not like the training images"),
        (lambda s: replace(s, images=3 * s.images), "not like the training images"),
    ],
)
def test_another_split_of_another_kind(change: Any, said: str) -> None:
    report = check(clouds(1), other=replace(change(clouds(2)), split="validation"))
    assert faults(report) == ["splits_differ"]
    assert said in report.headline
    assert "validation" in report.headline


@pytest.mark.parametrize(("copies", "expected"), [(0, []), (2, []), (10, ["test_in_train"])])
def test_images_that_were_saved_again(copies: int, expected: list[str]) -> None:
    """With an error of 1/50 of what tells images of a class apart, as JPEG makes it."""
    train, other = clouds(1), replace(clouds(2, images=100), split="validation")
    images = other.images.clone()
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(3))
    images[:copies] = train.images[:copies] + 0.006 * noise[:copies]
    targets = torch.cat([train.targets[:copies], other.targets[copies:]])
    report = check(train, other=replace(other, images=images, targets=targets))
    assert faults(report) == expected
    if expected:
        assert "10 of 100 validation images are nearly the same" in report.headline


def test_points_in_the_plane_may_be_near_by_chance() -> None:
    train, other = (replace(clouds(seed), images=torch.rand(IMAGES, 1, 1, 2)) for seed in (1, 2))
    assert faults(check(train, other=replace(other, split="validation"))) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda x: x * 60 + 120, "not_normalised"),
        (lambda x: x * 1e-3, "not_normalised"),
        (lambda x: x + 10, "not_normalised"),
        (lambda x: x * torch.tensor([1.0, 0.0, 1.0])[:, None, None], "constant_channel"),
        (lambda x: x.where(x < 1, torch.nan), "not_finite"),
    ],
)
def test_values(change: Any, fault: str) -> None:
    sound = clouds(1)
    assert faults(check(replace(sound, images=change(sound.images)))) == [fault]


@pytest.mark.parametrize(
    ("counts", "weighted", "expected"),
    [
        ((100, 100, 0, 100, 100), False, ["class_missing"]),
        ((100, 100, 3, 100, 100), False, ["uneven_classes"]),
        ((100, 100, 3, 100, 100), True, []),
        ((100, 100, 30, 100, 100), False, []),
    ],
)
def test_counts(counts: Sequence[int], weighted: bool, expected: list[str]) -> None:
    report = check(clouds(1), counts={"train": counts}, is_weighted=weighted)
    assert faults(report) == expected


@pytest.mark.parametrize(("shared", "is_certain"), [(1, False), (5, True)])
def test_shared_images(shared: int, is_certain: bool) -> None:
    pairs: Mapping[str, Sequence[tuple[str, str]]] = {"test": [("image 3", "image 9")] * shared}
    counts = {"train": (80,) * 5, "test": (40,) * 5}
    (finding,) = check(clouds(1), counts=counts, shared=pairs).findings
    assert finding.fault == "test_in_train"
    assert finding.is_certain == is_certain
    assert f"{shared} of the 200 test images" in finding.headline
