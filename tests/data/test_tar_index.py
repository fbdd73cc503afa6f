"""Samples in tar files: their forms, every mistake by shard and member, and how they are kept."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from cnntrain.core.errors import DataError
from cnntrain.data import tar_index
from cnntrain.data.sets.webdataset import webdataset
from cnntrain.data.splits import Splits

Pack = Callable[..., Path]
Content = bytes | str


def picture(value: int = 0, *, kind: str = "PNG") -> bytes:
    made = io.BytesIO()
    Image.new("RGB", (6, 5), (value, 255 - value, 40)).save(made, format=kind)
    return made.getvalue()


def samples(*labels: Content, start: int = 0, kind: str = "cls") -> list[tuple[str, Content]]:
    found: list[tuple[str, Content]] = []
    for number, label in enumerate(labels, start=start):
        found += [(f"{number:04}.png", picture(number)), (f"{number:04}.{kind}", label)]
    return found


def labels(splits: Splits) -> list[str]:
    return [splits.classes[target] for target in splits.train.targets.tolist()]


def images(splits: Splits) -> list[bytes]:
    return [path.read_bytes() for path in splits.train.paths]  # type: ignore[union-attr]


FORMS: dict[str, tuple[list[tuple[str, Content]], dict[str, Any], list[str]]] = {
    "numbers and classes.txt": (samples("1", "0", "1\n"), {}, ["dog", "cat", "dog"]),
    "names and classes.txt": (samples("dog", "cat", "dog"), {}, ["dog", "cat", "dog"]),
    "another order of classes": (
        samples("0", "1", "1"), {"classes": ("dog", "cat")}, ["cat", "dog", "dog"],
    ),
    "json": (
        samples(*(json.dumps({"label": n, "x": [1]}) for n in (1, 0, 1)), kind="json"),
        {}, ["dog", "cat", "dog"],
    ),
    "json, another key": (
        samples(*(json.dumps({"label": 7, "what": n}) for n in ("dog", "cat", "cat")), kind="json"),
        {"label_key": "what"}, ["dog", "cat", "cat"],
    ),
    "another member": (
        samples("dog", "cat", "cat", kind="label.txt"), {"label_member": "label.txt"},
        ["dog", "cat", "cat"],
    ),
    "from . and with folders": (
        [(f"./{'ab'[n]}/x{n}.{kind}", raw) for n in (0, 1)
         for kind, raw in (("PNG", picture(n)), ("cls", str(n)))], {}, ["cat", "dog"],
    ),
    "two images": (
        [(f"{n}.{kind}", raw) for n in (0, 1)
         for kind, raw in (("left.png", picture(n)), ("png", picture(9)), ("cls", str(n)))],
        {"image_member": "left.png"}, ["cat", "dog"],
    ),
    "remarks and hidden files": (
        [("README", "x"), ("__meta__.json", "{}"), *samples("0", "1"), ("._0.png", "mac")],
        {}, ["cat", "dog"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_samples(tmp_path: Path, pack: Pack, form: str) -> None:
    members, keys, expected = FORMS[form]
    pack(tmp_path / "train-0.tar", members)
    (tmp_path / "classes.txt").write_text("cat\ndog\n")
    found = webdataset(root=str(tmp_path), **keys)
    assert labels(found) == expected
    assert found.classes == keys.get("classes", ("cat", "dog"))
    assert images(found) == [picture(number) for number in range(len(expected))]


GOOD = samples("0", "1")
MISTAKES: dict[str, tuple[list[tuple[str, Content]], str]] = {
    "no class": (
        [*GOOD, ("0002.png", picture())],
        r"a/train-0.tar/0002 has no class: no member .cls or .json \(it has png\); say what",
    ),
    "no image": (
        [*GOOD, ("0002.cls", "1"), ("0002.txt", "1")],
        r"a/train-0.tar/0002 has no image \(it has cls, txt\); say what",
    ),
    "two images": (
        [*GOOD, ("0002.png", picture()), ("0002.jpg", picture()), ("0002.cls", "1")],
        r"0002 has several images: png, jpg; say which is meant: -s data.image_member=png",
    ),
    "twice": (
        [*GOOD, ("x.png", picture()), ("x.cls", "1"), ("x.png", picture())],
        "a/train-0.tar: the member 'x.png' comes twice in its sample",
    ),
    "out of range": (
        samples("0", "1", "2"),
        r"a/train-0.tar/0002.png: there is no class 2: a/classes.txt has 2, from 0 to 1; correct",
    ),
    "negative": (samples("0", "1", "-1"), r"train-0.tar/0002.png: there is no class -1: a/class"),
    "an unknown name": (
        samples("cat", "dgo"),
        r"0001.png: the class 'dgo' is not in a/classes.txt; did you mean 'dog'\?",
    ),
    "an empty label": (samples("0", ""), r"a/train-0.tar/0001.cls is not a line of text; correct"),
    "no text": (samples("0", b"\xff\xfe"), r"a/train-0.tar/0001.cls is not a line of text"),
    "two lines": (samples("0", "1\n2"), r"a/train-0.tar/0001.cls is not a line of text"),
    "not JSON": (
        samples('{"label": 0}', "{", kind="json"),
        r"0001.json is not JSON with a number or a name as 'label'; correct it, or say",
    ),
    "JSON without it": (samples('{"l": 0}', kind="json"), r"0000.json is not JSON with a number"),
    "JSON with a list": (samples('{"label": [0]}', kind="json"), r"0000.json is not JSON with a n"),
    "JSON with a truth": (samples('{"label": true}', kind="json"), r"0000.json is not JSON with"),
    "JSON that is deep": (samples("[" * 10**5, kind="json"), r"0000.json is not JSON with a num"),
    "out of the folder": (
        [("../../etc/x.png", picture()), ("../../etc/x.cls", "0")],
        r"the member '../../etc/x.png' has a name that is no place in a folder; rename it",
    ),
    "absolute": ([("/etc/x.png", picture())], "the member '/etc/x.png' has a name that is no"),
    "a line in its name": ([("a\nb.png", picture())], r"member 'a\\nb.png' has a name that is no"),
    "a terminal's code": ([("\x1b[2J.png", picture())], r"member '\\x1b\[2J.png' has a name that"),
    "one class": (samples("0", "0"), "the class 'dog' has no training image in a"),
    "nothing": ([], "there are no images in the train shards in a; check `data.root`"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_names_shard_and_member(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch, mistake: str
) -> None:
    monkeypatch.chdir(tmp_path)
    members, message = MISTAKES[mistake]
    pack(Path("a/train-0.tar"), members)
    Path("a/classes.txt").write_text("cat\ndog\n")
    with pytest.raises(DataError, match=message):
        webdataset(root="a")


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}, "0000.png' is not a plain file"),
        ({"type": tarfile.LNKTYPE, "linkname": "x.png"}, "0000.png' is not a plain file; write"),
        ({"type": tarfile.FIFOTYPE}, "0000.png' is not a plain file; write the shard with the"),
    ],
)
def test_links_and_devices_are_refused(
    tmp_path: Path, pack: Pack, header: dict[str, Any], message: str
) -> None:
    path = pack(tmp_path / "train-0.tar", samples("0"), **header)
    with pytest.raises(DataError, match=f"{path}: the member '{message}"):
        webdataset(root=str(tmp_path))


def damage(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at : at + 4] = b"\x01\x02\x03\x04"
    path.write_bytes(content)


# a sample has two headers of 512 bytes, an image in one block or more, a label in one block
BLOCKS = -(-len(picture()) // 512)
BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "in an image": (lambda p: os.truncate(p, 600), r"damaged or breaks off after the member '0000"),
    "in a header": (
        lambda p: os.truncate(p, 512 * (2 + BLOCKS) + 700),
        r"damaged or breaks off after the member '0000.cls'",
    ),
    "between members": (
        lambda p: os.truncate(p, 512 * (1 + BLOCKS)), r"breaks off after the member '0000.png'",
    ),
    "a header": (
        lambda p: damage(p, 512 * (3 + BLOCKS) + 3), r"breaks off after the member '0000.cls"
    ),
    "the first header": (lambda p: damage(p, 3), r"train-0.tar is damaged or breaks off: "),
    "empty": (lambda p: p.write_bytes(b""), r"train-0.tar is damaged or breaks off: empty file"),
    "compressed": (
        lambda p: p.write_bytes(b"\x1f\x8b\x08" + bytes(600)),
        r"train-0.tar is compressed, so no image .*; unpack the tar file: gunzip ",
    ),
    "text": (lambda p: p.write_text("hello" * 200), r"train-0.tar is damaged or breaks off: "),
    "a folder": (lambda p: (p.unlink(), p.mkdir()), r"there are no tar files in "),
}  # fmt: skip


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_shards(tmp_path: Path, pack: Pack, kind: str) -> None:
    path = pack(tmp_path / "train-0.tar", samples("0", "1", "0"))
    assert len(webdataset(root=str(tmp_path)).train) == 3
    breaks, message = BROKEN[kind]
    breaks(path)
    with pytest.raises(DataError, match=message):
        webdataset(root=str(tmp_path))


def test_headers_are_read_once_and_again_after_a_change(
    tmp_path: Path, pack: Pack, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    for number in (0, 1):
        pack(tmp_path / f"{number}.tar", samples("0", "1", start=2 * number))
    read: list[str] = []
    scan = tar_index._rows
    monkeypatch.setattr(tar_index, "_rows", lambda s, f: (read.append(s.name), scan(s, f))[1])
    first = images(webdataset(root=str(tmp_path)))
    assert images(webdataset(root=str(tmp_path))) == first
    assert read == ["0.tar", "1.tar"]
    pack(tmp_path / "1.tar", samples("1", "0", "1", start=2))
    assert labels(webdataset(root=str(tmp_path))) == ["0", "1", "1", "0", "1"]
    assert read == ["0.tar", "1.tar", "1.tar"]
    for file in (cache / "shards").iterdir():
        file.write_bytes(b"damaged")
    assert images(webdataset(root=str(tmp_path)))[:4] == first
    assert len(webdataset(root=str(tmp_path), label_member="cls").train) == 5
    assert read[3:] == ["0.tar", "1.tar"] * 2, "another form of samples is another index"
