"""WebDataset's shards: the same images in the same order as a folder, and every mistake named."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from cnntrain.core.errors import DataError
from cnntrain.data.check import check_data
from cnntrain.data.fingerprint import changes, take_fingerprint
from cnntrain.data.image_cache import ImageCache, with_cache
from cnntrain.data.loaders import open_data
from cnntrain.data.same_images import shared_images
from cnntrain.data.sets.image_folder import image_folder
from cnntrain.data.sets.webdataset import webdataset
from cnntrain.data.splits import Files, Part, Splits
from cnntrain.data.write_shards import write_shards

MakeFolder = Callable[..., Path]
Pack = Callable[..., Path]


def picture(value: int = 0, *, kind: str = "PNG") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (6, 5), (value, 255 - value, 40)).save(made, format=kind)
    return made.getvalue()


def samples(*labels: str, start: int = 0) -> list[tuple[str, bytes | str]]:
    found: list[tuple[str, bytes | str]] = []
    for number, label in enumerate(labels, start=start):
        found += [(f"{number:04}.png", picture(number)), (f"{number:04}.cls", label)]
    return found


def contents(splits: Splits) -> dict[str, list[tuple[bytes, str]]]:
    """Of each split the bytes and the class of each image, in order."""
    found = {}
    for split, part in splits.parts.items():
        assert isinstance(part, Files)
        labels = [splits.classes[target] for target in part.targets.tolist()]
        found[split] = [(p.read_bytes(), at) for p, at in zip(part.paths, labels, strict=True)]
    return found


@pytest.fixture
def pair(make_folder: MakeFolder, tmp_path: Path) -> tuple[Path, Path]:
    """A folder of images of many sizes, and shards of it, several of each split."""
    counts = {"train/cat": 7, "train/dog/old": 2, "train/dog": 5, "val/cat": 2, "val/dog": 3}
    root = make_folder(counts, grow=1)
    write_shards(image_folder(root=str(root)), tmp_path / "sh", most_bytes=14_000, seed=1)
    return root, tmp_path / "sh"


def test_the_same_images_in_the_same_order_as_the_folder(pair: tuple[Path, Path]) -> None:
    root, shards = pair
    assert len(list(shards.glob("train-*.tar"))) > 2
    folder, packed = image_folder(root=str(root)), webdataset(root=str(shards))
    assert packed.classes == folder.classes == ("cat", "dog")
    assert contents(packed) == contents(folder)
    assert [len(part) for part in packed.parts.values()] == [14, 5]
    in_shards = [name for name, _ in contents_of_tars(shards, "train-*.tar")]
    assert in_shards != sorted(in_shards), "they are shuffled there"
    assert packed.train.label(0).endswith(".tar/cat/00.png")
    assert packed.train.size_of(3) == folder.train.size_of(3)


def contents_of_tars(folder: Path, pattern: str) -> list[tuple[str, bytes]]:
    found = []
    for path in sorted(folder.glob(pattern)):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found.append((member.name, file.read()))
    return found


@pytest.mark.parametrize(("memory", "workers"), [("stream", 0), ("stream", 2), ("resident", 0)])
def test_batches_are_those_of_the_folder(
    pair: tuple[Path, Path], memory: str, workers: int
) -> None:
    """Shuffled, cropped and flipped at random: every number of two epochs."""
    train = [("random_resized_crop", {"size": 8}), ("horizontal_flip", {}), ("normalize", {})]
    evaluation = [("resize", {"size": [8, 8]}), ("normalize", {})]
    if memory == "resident":
        train = [("resize", {"size": [8, 8]}), *train[1:]]
    found = []
    for name, root in zip(("image_folder", "webdataset"), pair, strict=True):
        data = open_data(name, parameters={"root": str(root)}, batch_size=4, seed=3,
                         train_transforms=train, eval_transforms=evaluation, memory=memory,
                         workers=workers)  # fmt: skip
        assert data.validation is not None
        batches = [batch for epoch in (1, 2) for batch in data.train.batches(epoch)]
        batches += list(data.validation.batches(1))
        found.append(batches)
    assert len(found[0]) == 2 * 4 + 2
    for ours, theirs in zip(*found, strict=True):
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.targets, theirs.targets)


def test_classes_without_a_list(tmp_path: Path, pack: Pack) -> None:
    pack(tmp_path / "0.tar", samples("10", "9", "10"))
    assert webdataset(root=str(tmp_path)).classes == ("9", "10"), "by value"


def test_classes_without_training_images_and_numbers_of_given_classes(
    tmp_path: Path, pack: Pack
) -> None:
    pack(tmp_path / "0.tar", samples("0", "1"))
    assert webdataset(root=str(tmp_path), classes=("b", "a")).train.targets.tolist() == [0, 1]
    with pytest.raises(DataError, match="the class 'c' has no training image in"):
        webdataset(root=str(tmp_path), classes=("b", "a", "c"))


def test_given_classes_must_have_those_of_the_shards(tmp_path: Path, pack: Pack) -> None:
    pack(tmp_path / "0.tar", samples("0", "1"))
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match=r"0001.png: the class 'dog' is not in `data.classes`; did"):
        webdataset(root=str(tmp_path), classes=("cat", "dogs"))


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path, pack: Pack) -> None:
    members = [*samples("0", "1"), ("2.png", b"x"), ("2.cls", "1")]
    pack(tmp_path / "train-0.tar", members)
    pack(tmp_path / "val-0.tar", samples("0", "1", start=5))
    found = webdataset(root=str(tmp_path))
    with pytest.raises(DataError, match=r"cannot read the image .*/train-0.tar/2.png: not a JPEG"):
        found.train.open(2)
    skipped = webdataset(root=str(tmp_path), unreadable="skip")
    assert len(skipped.train) == 2
    (left,) = skipped.left_out
    assert (str(left.path), left.split) == (str(tmp_path / "train-0.tar/2.png"), "train")
    report = check_data("webdataset", parameters={"root": str(tmp_path)})
    assert [str(file.path) for file in report.unreadable] == [str(tmp_path / "train-0.tar/2.png")]


def test_a_run_notices_other_shards(pair: tuple[Path, Path], pack: Pack) -> None:
    shards = pair[1]
    taken = {kind: take_fingerprint(webdataset(root=str(shards)), kind)
             for kind in ("names", "content")}  # fmt: skip
    assert changes(taken["names"], taken["content"]) == []
    old = contents_of_tars(shards, "validation-000000.tar")
    image = next(content for name, content in old if name == "cat/00.png")
    other = [(n, picture(3) if n == "cat/00.png" else c) for n, c in old]
    pack(shards / "validation-000000.tar", other)
    found = changes(taken["names"], take_fingerprint(webdataset(root=str(shards)), "names"))
    assert len(found) == 1
    assert found[0].startswith("validation: ")
    assert f"cat/00.png has {len(picture(3))} bytes instead of {len(image)}" in found[0]
    same_length = bytes([image[0], image[1] ^ 1]) + image[2:]
    pack(shards / "validation-000000.tar",
         [(n, same_length if n == "cat/00.png" else c) for n, c in old])  # fmt: skip
    now = webdataset(root=str(shards))
    assert changes(taken["names"], take_fingerprint(now, "names")) == []
    (found,) = [changes(taken["content"], take_fingerprint(now, "content"))]
    assert "cat/00.png has other content" in found[0]


def test_equal_images_of_two_splits_are_found(tmp_path: Path, pack: Pack) -> None:
    pack(tmp_path / "train-0.tar", samples("0", "1"))
    pack(tmp_path / "val-0.tar", [("x/7.png", picture(1)), ("x/7.cls", "1")])
    found = webdataset(root=str(tmp_path))
    assert found.validation is not None
    assert shared_images(found.train, found.validation) == [
        (f"{tmp_path}/train-0.tar/0001.png", f"{tmp_path}/val-0.tar/x/7.png")
    ]
    assert not check_data("webdataset", parameters={"root": str(tmp_path)}).is_clean


def test_a_cache_of_decoded_images(pair: tuple[Path, Path], tmp_path: Path) -> None:
    """It holds what the files decode to, and only that of a changed shard is decoded again."""
    shards = pair[1]
    kept = ImageCache(short_side=8, folder=tmp_path / "kept")
    part = webdataset(root=str(shards)).train
    assert isinstance(part, Files)
    stored = with_cache(part, kept, name="train")
    for index in range(len(part)):
        picture_now = part.open(index)
        if min(picture_now.size) <= 8:
            assert stored.open(index).tobytes() == picture_now.tobytes()
    (pixels,) = (tmp_path / "kept").glob("*/pixels")
    before = pixels.stat().st_size
    os.utime(shards / "train-000000.tar", (1e9, 1e9))
    with_cache(webdataset(root=str(shards)).train, kept, name="train")
    sizes = [stored.size_of(at) for at, path in enumerate(part.paths)
             if "train-000000.tar" in path.parts]  # fmt: skip
    assert 0 < len(sizes) < len(part)
    assert pixels.stat().st_size - before == sum(3 * height * width for height, width in sizes)


SUFFIXES = {".jpg": {}, ".png": {}, ".webp": {}, ".tiff": {"compression": "tiff_lzw"}, ".bmp": {},
            ".gif": {}, ".avif": {}}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Corrupt EXIF:UserWarning")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_formats_decode_as_from_a_file(tmp_path: Path, pack: Pack, suffix: str) -> None:
    """Turned by EXIF where the format has it, and broken ones are found, too."""
    image = Image.effect_noise((37, 23), 60).convert("RGB")
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = tmp_path / "plain" / f"x{suffix}"
    plain.parent.mkdir()
    image.save(plain, exif=exif, **SUFFIXES[suffix])
    raw = plain.read_bytes()
    pack(tmp_path / "train-0.tar", [(f"0{suffix}", raw), ("0.cls", "0"), (f"1{suffix}", raw[:-200]),
                                    ("1.cls", "1")])  # fmt: skip
    broken = plain.with_name(f"broken{suffix}")
    broken.write_bytes(raw[:-200])
    packed = webdataset(root=str(tmp_path)).train
    assert isinstance(packed, Files)
    loose: Part = Files((plain, broken), torch.tensor([0, 1]), 3)
    assert packed.open(0).tobytes() == loose.open(0).tobytes()
    assert packed.size_of(0) == loose.size_of(0)
    answers = []
    for part in (packed, loose):
        try:
            answers.append(part.open(1).tobytes())
        except DataError as error:
            answers.append(str(error).partition(": ")[2].encode())
    assert answers[0] == answers[1]


def test_the_fast_decoder_gives_the_same_pixels(tmp_path: Path, pack: Pack) -> None:
    pytest.importorskip("simplejpeg")
    raw = picture(7, kind="JPEG")
    pack(tmp_path / "0.tar", [("0.jpg", raw), ("0.cls", "0"), ("1.jpg", raw), ("1.cls", "1")])
    (tmp_path / "x.jpg").write_bytes(raw)
    found = []
    for paths in (webdataset(root=str(tmp_path)).train.paths[:1], (tmp_path / "x.jpg",)):  # type: ignore[union-attr]
        found.append(Files(paths, torch.tensor([0]), 3, decoder="simplejpeg").read(0))
    assert not isinstance(found[0], Image.Image)
    assert (found[0] == found[1]).all()
