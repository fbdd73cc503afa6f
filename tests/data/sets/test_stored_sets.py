"""MNIST-like and CIFAR files, written by the tests in the published formats."""

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cnntrain.core.errors import DataError
from cnntrain.data.sets import cifar
from cnntrain.data.sets.cifar import CIFAR10_CLASSES, cifar10, cifar100
from cnntrain.data.sets.mnist import fashion_mnist, mnist, read_idx
from cnntrain.data.splits import Pixels


def write_idx(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim) + struct.pack(
        f">{array.ndim}I", *array.shape
    )
    content = header + array.tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_mnist(raw: Path, suffix: str = "") -> np.ndarray:
    images = np.random.default_rng(0).integers(0, 256, (20, 28, 28), dtype=np.uint8)
    for part, count in (("train", 20), ("t10k", 10)):
        write_idx(raw / f"{part}-images-idx3-ubyte{suffix}", images[:count])
        write_idx(raw / f"{part}-labels-idx1-ubyte{suffix}", np.arange(count, dtype=np.uint8) % 10)
    return images


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_mnist_files(tmp_path: Path, suffix: str) -> None:
    images = write_mnist(tmp_path / "MNIST" / "raw", suffix)
    splits = mnist(root=str(tmp_path))
    assert isinstance(splits.train, Pixels)
    assert np.array_equal(splits.train.images[:, 0].numpy(), images)
    assert splits.train.targets[9:12].tolist() == [9, 0, 1]
    assert splits.validation is None
    assert splits.test is not None
    assert len(splits.test) == 10


def test_fashion_mnist_has_its_own_folder_and_names(tmp_path: Path) -> None:
    write_mnist(tmp_path / "FashionMNIST" / "raw")
    assert fashion_mnist(root=str(tmp_path)).classes[9] == "Ankle boot"


@pytest.mark.parametrize(
    ("read", "place"),
    [
        (mnist, "MNIST/raw/train-images-idx3-ubyte"),
        (fashion_mnist, "FashionMNIST/raw/t10k-labels-idx1-ubyte"),
        (cifar10, "cifar-10-batches-py"),
        (cifar10, "cifar10/test"),
        (cifar100, "cifar-100-python"),
    ],
)
def test_missing_files_tell_where_and_both_remedies(tmp_path: Path, read, place: str) -> None:
    with pytest.raises(DataError) as caught:
        read(root=str(tmp_path / "empty"))
    text = str(caught.value)
    assert str(tmp_path / "empty" / place) in text
    assert "data.root" in text
    assert "data.download: true" in text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "does not begin"),
        (b"\0\0\x08\x03" + b"\0" * 3, "does not begin"),
        (b"\0\0\x0d\x03" + b"\0" * 12, "does not begin"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2, 2, 2) + b"1234567", "should hold 8 bytes .* holds 7"),
    ],
)
def test_damaged_idx_files_are_named(tmp_path: Path, content: bytes, reason: str) -> None:
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"images: .*{reason}"):
        read_idx(path, dimensions=3)
    broken = bytearray(gzip.compress(content))
    broken[10] |= 0x06  # a kind of block that there is not: zlib's own error
    (tmp_path / "broken.gz").write_bytes(broken)
    with pytest.raises(DataError, match=r"cannot read .*broken\.gz"):
        read_idx(tmp_path / "broken.gz", dimensions=3)
    zipped = tmp_path / "images.gz"
    zipped.write_bytes(gzip.compress(content)[:-6])
    with pytest.raises(DataError, match=r"images\.gz"):
        read_idx(zipped, dimensions=3)


def test_images_and_labels_that_do_not_fit(tmp_path: Path) -> None:
    raw = tmp_path / "MNIST" / "raw"
    write_mnist(raw)
    write_idx(raw / "train-labels-idx1-ubyte", np.zeros(19, dtype=np.uint8))
    with pytest.raises(DataError, match="20 images and 19 labels"):
        mnist(root=str(tmp_path))


def write_cifar(root: Path, size: int = 32) -> None:
    random = np.random.default_rng(0)
    for split in ("train", "test"):
        for name in CIFAR10_CLASSES:
            folder = root / "cifar10" / split / name
            folder.mkdir(parents=True)
            for number in range(2):
                pixels = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.webp", lossless=True)


def test_cifar10_image_files_are_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path)
    first = cifar10(root=str(tmp_path))
    assert isinstance(first.train, Pixels)
    assert first.classes[:2] == ("airplane", "automobile")  # the order of torchvision's list
    stored = np.asarray(Image.open(tmp_path / "cifar10/train/automobile/1.webp").convert("RGB"))
    assert np.array_equal(first.train.images[3].permute(1, 2, 0).numpy(), stored)
    assert first.train.targets.tolist() == [n for n in range(10) for _ in range(2)]
    monkeypatch.setattr(cifar, "_decode", lambda path: pytest.fail("decoded a second time"))
    again = cifar10(root=str(tmp_path))
    assert isinstance(again.train, Pixels)
    assert torch.equal(again.train.images, first.train.images)


def test_cifar10_folders_of_another_form(tmp_path: Path) -> None:
    write_cifar(tmp_path, size=16)
    with pytest.raises(DataError, match="is 16 x 16, but CIFAR-10 is 32 x 32"):
        cifar10(root=str(tmp_path))
    (tmp_path / "cifar10" / "train" / "truck").rename(tmp_path / "cifar10" / "train" / "lorry")
    with pytest.raises(DataError, match="ten class folders"):
        cifar10(root=str(tmp_path))


def test_real_mnist_is_torchvisions(real_data: Path) -> None:
    import torchvision

    splits = mnist(root=str(real_data))
    for part, is_train in ((splits.train, True), (splits.test, False)):
        theirs = torchvision.datasets.MNIST(str(real_data), train=is_train)
        assert isinstance(part, Pixels)
        assert torch.equal(part.images[:, 0], theirs.data)
        assert torch.equal(part.targets, theirs.targets)
