"""Shards as they are written: the same bytes every time, whole files, names that keep the order."""

from __future__ import annotations

import os
import re
import shutil
import tarfile
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import groupby
from pathlib import Path

import pytest
import torch

from cnntrain.core import whole_folder
from cnntrain.core.errors import DataError, DiskError
from cnntrain.data.sets.digits import digits
from cnntrain.data.sets.image_folder import image_folder
from cnntrain.data.sets.webdataset import webdataset
from cnntrain.data.splits import Files, Splits
from cnntrain.data.write_shards import Written, write_shards

MakeFolder = Callable[..., Path]


def write(splits: Splits, folder: Path, *, size: int = 12_000, seed: int = 5) -> Written:
    return write_shards(splits, folder, most_bytes=size, seed=seed)


def grouped(folder: Path, split: str) -> list[dict[str, bytes]]:
    """Samples by WebDataset's rule, written out again: equal up to the first dot of the file name.

    See `base_plus_ext` and `group_by_keys` in its tariterators.py.
    """
    members = []
    for path in sorted(folder.glob(f"{split}-*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file, match = tar.extractfile(member), re.match(r"((?:.*/)?[^./]+)\.", member.name)
                assert file is not None
                assert match is not None
                members.append((match[1], member.name[match.end() :], file.read()))
    return [
        {"__key__": key.encode(), **{kind: content for _, kind, content in group}}
        for key, group in groupby(members, lambda each: each[0])
    ]


@pytest.fixture
def folder(make_folder: MakeFolder) -> Path:
    return make_folder({"train/cat": 6, "train/dog": 8, "val/cat": 3, "val/dog": 2}, grow=1)


def test_samples_are_whole_files_with_the_number_of_their_class(
    folder: Path, tmp_path: Path
) -> None:
    written = write(image_folder(root=str(folder)), tmp_path / "sh")
    for split, name, count in (("train", "train", 14), ("validation", "val", 5)):
        found = grouped(tmp_path / "sh", split)
        assert {each["__key__"].decode(): each["png"] for each in found} == {
            f"{path.parent.name}/{path.stem}": path.read_bytes()
            for path in (folder / name).glob("*/*.png")
        }
        assert all(int(each["cls"]) == each["__key__"].startswith(b"dog") for each in found)
        assert written.images[split] == len(found) == count
    assert (tmp_path / "sh/classes.txt").read_text() == "cat\ndog\n"
    keys = [each["__key__"] for each in grouped(tmp_path / "sh", "train")]
    assert keys != sorted(keys), "shuffled for those who read from beginning to end"
    keys = [each["__key__"] for each in grouped(tmp_path / "sh", "validation")]
    assert keys == sorted(keys)
    shards = sorted((tmp_path / "sh").glob("*.tar"))
    counts = {split: f"{split}-{count - 1:06}.tar" for split, count in written.shards.items()}
    assert {path.name for path in shards} >= set(counts.values())
    assert len(shards) == sum(written.shards.values()) > 4
    assert all(path.stat().st_size <= 12_000 for path in shards if path.stat().st_size > 10_240)


def test_the_same_bytes_every_time(folder: Path, tmp_path: Path) -> None:
    """Whatever the times, owners and permissions of the files; another seed is another order."""
    write(image_folder(root=str(folder)), tmp_path / "one")
    for number, path in enumerate(sorted(folder.rglob("*.png"))):
        os.utime(path, (number, number))
        path.chmod(0o600)
    write(image_folder(root=str(folder)), tmp_path / "two")
    write(image_folder(root=str(folder)), tmp_path / "other", seed=6)
    one, two, other = (
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "two", "other")
    )
    assert one == two
    assert one.keys() == other.keys()
    assert {name for name in one if one[name] != other[name]} == {
        name for name in one if name.startswith("train-")
    }


def test_images_larger_than_a_shard_have_one_each(folder: Path, tmp_path: Path) -> None:
    assert write(image_folder(root=str(folder)), tmp_path / "sh", size=1).shards == {
        "train": 14, "validation": 5,
    }  # fmt: skip


def renamed(folder: Path, names: dict[str, str]) -> None:
    for old, new in names.items():
        (folder / new).parent.mkdir(parents=True, exist_ok=True)
        (folder / old).rename(folder / new)


NAMES = {
    "two dots": {"train/cat/00.png": "train/cat/0.0.png", "train/cat/01.png": "train/cat/0.1.png"},
    "equal up to the dot": {"train/cat/00.png": "train/cat/01.PNG"},
    "a class with a dot": {f"train/cat/{n:02}.png": f"train/c.t/{n:02}.png" for n in range(6)},
    "folders inside": {"train/dog/03.png": "train/dog/a/b/03.png"},
    "a line in a name": {"train/cat/00.png": "train/cat/0\n0.png"},
    "no text": {"train/cat/00.png": os.fsdecode(b"train/cat/0\xff0.png")},
    "very long": {"train/cat/00.png": f"train/cat/{'x' * 200}/{'y' * 200}.png"},
}
KEPT = {"a class with a dot", "folders inside", "very long"}


@pytest.mark.parametrize("names", NAMES)
def test_names_keep_the_order(folder: Path, tmp_path: Path, names: str) -> None:
    """The images come back in the order of the folder, whatever they are called."""
    renamed(folder, NAMES[names])
    shutil.rmtree(folder / "val")
    for empty in [path for path in (folder / "train").iterdir() if not list(path.iterdir())]:
        empty.rmdir()
    loose = image_folder(root=str(folder))
    write(loose, tmp_path / "sh")
    again = webdataset(root=str(tmp_path / "sh"))
    assert isinstance(again.train, Files)
    assert isinstance(loose.train, Files)
    assert again.classes == loose.classes
    assert again.train.targets.tolist() == loose.train.targets.tolist()
    contents = [[path.read_bytes() for path in part.train.paths] for part in (again, loose)]
    assert contents[0] == contents[1]
    inside = again.train.paths[0].parts
    assert inside[inside.index("sh") + 2].isdecimal() == (names not in KEPT)


def test_another_order_is_kept_too_and_shards_of_shards(folder: Path, tmp_path: Path) -> None:
    loose = image_folder(root=str(folder), classes=("dog", "cat"))
    assert isinstance(loose.train, Files)
    order = torch.arange(13, -1, -1)
    write(replace(loose, train=loose.train.select(order)), tmp_path / "one", size=20_000)
    first = webdataset(root=str(tmp_path / "one"))
    write(first, tmp_path / "two", size=11_000)
    for found in (first, webdataset(root=str(tmp_path / "two"))):
        assert isinstance(found.train, Files)
        assert found.classes == ("dog", "cat")
        assert found.train.targets.tolist() == loose.train.targets[order].tolist()
        assert [path.read_bytes() for path in found.train.paths] == [
            path.read_bytes() for path in reversed(loose.train.paths)
        ]
    labels = [[found.train.label(at).partition(".tar/")[2] for at in range(14)]
              for found in (first, webdataset(root=str(tmp_path / "two")))]  # fmt: skip
    assert labels[0] == labels[1]


def files(folder: Path, names: Iterable[str]) -> Files:
    paths = [folder / name for name in names]
    return Files(paths, torch.tensor([n % 2 for n in range(len(paths))]), 3)


def test_names_without_the_suffix_of_an_image(folder: Path, tmp_path: Path) -> None:
    """A table may name such files; what they are says their content."""
    renamed(folder, {"train/cat/00.png": "a/x", "train/cat/01.png": "a/y.data"})
    splits = Splits(("a", "b"), files(folder / "a", ["x", "y.data"]))
    write(splits, tmp_path / "sh")
    again = webdataset(root=str(tmp_path / "sh")).train
    assert [again.label(at).partition(".tar/")[2] for at in (0, 1)] == [
        "00000000/x.png", "00000001/y.png",
    ]  # fmt: skip
    (folder / "a/x").write_bytes(b"hello")
    with pytest.raises(
        DataError, match=r"name of .*/x does not end as that of an image; end it in"
    ):
        write(splits, tmp_path / "other")


def test_what_has_no_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the train images are no files, so there is nothing to co"):
        write(digits(), tmp_path / "sh")
    assert not (tmp_path / "sh").exists()


def test_a_file_that_is_gone(folder: Path, tmp_path: Path) -> None:
    splits = image_folder(root=str(folder))
    (folder / "val/dog/01.png").unlink()
    with pytest.raises(DataError, match=r"cannot read .*val/dog/01.png: No such file .*; repair"):
        write(splits, tmp_path / "sh")
    assert not (tmp_path / "sh").exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_nothing_is_left_where_it_cannot_end(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    add, count = tarfile.TarFile.addfile, 0

    def stops(*words: object) -> None:
        nonlocal count
        count += 1
        if count == 9:
            raise error
        add(*words)  # type: ignore[arg-type]

    monkeypatch.setattr(tarfile.TarFile, "addfile", stops)
    kind = DiskError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(kind):
        write(image_folder(root=str(folder)), tmp_path / "sh")
    assert not (tmp_path / "sh").exists()


def test_space_is_asked_for_before(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(whole_folder, "check_space", lambda path, needed: asked.append(needed))
    write(image_folder(root=str(folder)), tmp_path / "sh", size=10**6)
    images = sum(path.stat().st_size for path in folder.rglob("*.png"))
    assert images + 19 * 1024 < asked[0] < images + 19 * 2048
