"""Files that are not used: each is listed with its reason, whatever it is."""

import os
import shutil
from pathlib import Path

import pytest

from cnntrain.data.check import check_data
from cnntrain.data.decode import UnreadableImageError, decode, header_size
from cnntrain.data.left_out import image_format, plain, rows, summaries
from cnntrain.data.on_disk import list_images
from cnntrain.data.same_images import shared_images
from cnntrain.data.sets.image_folder import image_folder
from cnntrain.data.splits import Files

JXL = b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40)
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40)
AVIF = b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf" + bytes(40)


def test_every_file_is_listed_with_its_reason(make_folder) -> None:
    root = make_folder({"train/a": 2, "train/b": 2})
    folder = root / "train" / "a"
    (folder / "1.jxl").write_bytes(JXL)
    (folder / "2.jxl").write_bytes(JXL)
    (folder / "Thumbs.db").write_bytes(b"x")
    (folder / ".hidden.png").write_bytes(b"x")
    shutil.copy(folder / "00.png", folder / "no_suffix")
    shutil.copy(folder / "00.png", root / "train" / "loose.png")
    (root / "train" / "labels.csv").write_text("a,b")
    (root / "train" / "b" / "00.png").write_bytes(b"")
    (folder / "up").symlink_to(root / "train", target_is_directory=True)
    splits = image_folder(root=str(root), unreadable="skip")
    assert len(splits.train) == 3, "the link up would make the images of b some of a"
    reasons = {str(f.path.relative_to(root / "train")): f.reason for f in splits.left_out}
    assert reasons == {
        "loose.png": "images beside the class folders",
        "a/1.jxl": "JPEG XL images, which are not read",
        "a/2.jxl": "JPEG XL images, which are not read",
        "a/Thumbs.db": "files that are not images",
        "a/no_suffix": "PNG images under another suffix",
        "a/up": "linked folders that lead back to one that is read already",
        "b/00.png": "it is empty",
    }
    said = next(text for text in summaries(splits.left_out) if "JPEG XL" in text)
    assert said == (
        f"2 left out: JPEG XL images, which are not read: {folder}/1.jxl, {folder}/2.jxl; "
        "convert them to JPEG or PNG"
    )
    assert rows(splits.left_out).count("\n") == len(splits.left_out) == len(plain(splits.left_out))
    report = check_data("image_folder", parameters={"root": str(root), "unreadable": "skip"})
    assert [file.path.name for file in report.unreadable] == ["00.png"]
    assert len(report.left_out) == 6


def test_a_name_with_a_newline_stays_in_its_row(make_folder) -> None:
    folder = make_folder({"a": 1}) / "a"
    (folder / "x\n\x1b[31m.txt").write_bytes(b"x")
    assert (
        rows(list_images(folder).left_out)
        == f"{folder}/x\\n\\x1b[31m.txt\tfiles that are not images\n"
    )


@pytest.mark.parametrize(
    ("begin", "name", "found"),
    [
        (HEIC, "x", "HEIC"),
        (AVIF, "x", "AVIF"),
        (b"\0\0\0\x18ftypcrx ", "x.cr3", "camera raw"),
        (b"II*\0\x08\0\0\0", "x.NEF", "camera raw"),
        (b"II*\0\x08\0\0\0", "x", "TIFF"),
        (b"\xff\xd8\xff\xe0", "x", "JPEG"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "x", "WEBP"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "x", "JPEG XL"),
        (b"a text", "x", ""),
        (b"", "x", ""),
    ],
)
def test_a_format_is_known_by_its_content(
    tmp_path: Path, begin: bytes, name: str, found: str
) -> None:
    (tmp_path / name).write_bytes(begin)
    assert image_format(tmp_path / name) == found


def test_another_format_under_a_known_suffix_is_called_so(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(JXL)
    with pytest.raises(UnreadableImageError, match="JPEG XL images are not read") as caught:
        decode(tmp_path / "x.jpg", channels=3)
    assert caught.value.problems[0].remedy == "convert it to JPEG or PNG"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
def test_a_pipe_is_never_opened(make_folder) -> None:
    root = make_folder({"train/a": 2, "train/b": 2})
    pipe = root / "train" / "a" / "x.png"
    os.mkfifo(pipe)
    os.mkfifo(root / "train" / "a" / "no_suffix")
    for read in (header_size, lambda path: decode(path, channels=3)):
        with pytest.raises(UnreadableImageError, match="it is a named pipe, not a file"):
            read(pipe)
    report = check_data("image_folder", parameters={"root": str(root)})
    assert [file.path for file in report.unreadable] == [pipe]
    assert [file.path.name for file in report.left_out] == ["no_suffix"]
    part = image_folder(root=str(root)).train
    assert isinstance(part, Files)
    assert len(shared_images(part, part)) == 4
