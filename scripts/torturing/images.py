"""Damaged image files: never a crash, never much memory, and no torn copy taken for a whole one."""

from __future__ import annotations

import io
import json
import random
import resource
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, features

from torturing.damages import cut, flip, insert, overwrite, zero_page, zero_tail
from torturing.jobs import Note, write_job
from torturing.part import Part
from torturing.processes import call, run

FORMATS = {
    "jpg": ("JPEG", {"quality": 85}),
    "progressive.jpg": ("JPEG", {"progressive": True, "quality": 80}),
    "png": ("PNG", {}),
    "webp": ("WEBP", {"quality": 80}),
    "lossless.webp": ("WEBP", {"lossless": True}),
    "gif": ("GIF", {}),
    "avif": ("AVIF", {"speed": 10}),
    "heic": ("HEIF", {}),
    "jpeg.tif": ("TIFF", {"compression": "jpeg"}),
    "bmp": ("BMP", {}),
    "tif": ("TIFF", {}),
    "lzw.tif": ("TIFF", {"compression": "tiff_lzw"}),
    "ppm": ("PPM", {}),
}
FORMATS = {name: how for name, how in FORMATS.items() if how[0] != "AVIF" or features.check("avif")}
pillow_heif.register_heif_opener()  # to write them
RAW = ("bmp", "tif", "ppm")
"""Formats in which zeros are black pixels: a zeroed file is, byte for byte, another picture's."""
UNSEEN = {"webp": 16, "lossless.webp": 17, "avif": 16, "heic": 16}
"""Zeros at the end that no format says are wrong, as docs/images.md has it; 17 with a byte that
fills up an odd chunk."""


def block_tail(data: bytearray, place: int, draw: random.Random) -> None:
    """Zeros from a block on, as copies break off; a tenth at least."""
    start = place * 9 // 10 // BLOCK * BLOCK
    data[start:] = bytes(len(data) - start)


def nothing(data: bytearray, place: int, draw: random.Random) -> None:
    """A sound file, which must be read."""


DAMAGES = (flip, cut, zero_page, zero_tail, block_tail, insert, overwrite, nothing)
BATCH = 250
BLOCK = 512
MEMORY = 1000
"""Megabytes that reading any file may take."""


def mutate(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """Damage pictures of thirteen formats, and read them, also with data check, fit and predict.

    A file that is cut or ends in zeros must be refused, unless every pixel is the sound file's, so
    that nothing of the picture was lost. Two cases cannot be known and are counted apart: a raw
    picture that is zero from anywhere on is another picture's file (from a block on it must be
    refused), and a few zeros in WebP, AVIF and HEIC. A sound file must be read.
    """
    part = Part("images", "damaged image files of thirteen formats")
    _large(part, place)  # first: what this process has freed by then would not be counted
    whole = place / "whole"
    draw_formats(whole, seed=seed)
    _train(part, place)
    kinds: Counter[str] = Counter()
    for first in range(0, count, BATCH):
        several = min(BATCH, count - first)
        code, found = call(lambda n=several, s=seed + first: _read_all(place, whole, n, s))
        part.checks += several
        rows = found.split("\n") if code == 0 else [f"exit code {code}\t{found[-300:]}"]
        for row in rows:
            kind, _, why = row.partition("\t")
            kinds[kind] += 1
            if not kind.startswith(("refused", "read")):
                part.failures.append(f"{kind}: {why}")
        if code == 0:
            _through_commands(part, place, rows)
        note(f"{first + several} of {count} images, {len(part.failures)} failures")
    part.numbers |= dict(sorted(kinds.items()))
    return part


def draw_formats(folder: Path, *, seed: int) -> None:
    """A picture that compresses like a photograph, in each format."""
    folder.mkdir()
    random_ = np.random.default_rng(seed)
    coarse = random_.integers(0, 255, (9, 12, 3)).astype(np.uint8)
    smooth = np.asarray(Image.fromarray(coarse).resize((120, 90), Image.Resampling.BICUBIC))
    noisy = smooth + random_.normal(0, 6, smooth.shape)
    picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    for name, (form, options) in FORMATS.items():
        picture.save(folder / f"picture.{name}", form, **options)


def _read_all(place: Path, whole: Path, count: int, seed: int) -> str:
    """A line for each damaged file; they are left in a folder of images."""
    from cnntrain.core.errors import DataError
    from cnntrain.data.decode import decode

    draw, rows = random.Random(seed), []
    files = sorted(whole.iterdir())
    pictures = {file: decode(file, channels=3).tobytes() for file in files}
    folder = place / "batch" / "train"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "class0").mkdir(parents=True)
    shutil.copytree(whole, folder / "class1")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for number in range(count):
        file, does = draw.choice(files), draw.choice(DAMAGES)
        sound, pixels = file.read_bytes(), pictures[file]
        if does is nothing:
            sound, pixels = _partly_black(file, draw)
        data = bytearray(sound)
        does(data, draw.randrange(len(data)), draw)
        spoilt = folder / "class0" / f"{number:03d}{file.suffix}"
        spoilt.write_bytes(data)
        name = f"{file.name} {does.__name__}, {len(sound)} bytes"
        try:
            found = decode(spoilt, channels=3).tobytes()
        except DataError as error:
            is_sound = bytes(data) == sound
            why = f"sound, but refused\t{name}: {error}"[:300]
            rows.append(why if is_sound else f"refused, {does.__name__}")
        except Exception as error:  # noqa: BLE001  # every other kind is a failure
            rows.append(f"{type(error).__name__}\t{name}: {error}"[:300])
        else:
            rows.append(_read(file, does, data, sound, found == pixels))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    if grown > MEMORY:
        rows.append(f"memory\t{grown:.0f} MB more")
    return "\n".join(rows)


def _partly_black(file: Path, draw: random.Random) -> tuple[bytes, bytes]:
    """A sound file of the same format, of any size, black or grey in places; and its pixels."""
    width, height = draw.randrange(1, 300), draw.randrange(1, 300)
    with Image.open(file) as photograph:
        picture = photograph.convert("RGB").resize((width, height))
    left, top = draw.randrange(-width, width), draw.randrange(-height, height)
    right, lower = left + draw.randrange(1, 2 * width), top + draw.randrange(1, 2 * height)
    picture.paste(draw.choice(((0, 0, 0), (128, 128, 128))), (left, top, right, lower))
    form, options = FORMATS[file.name.partition(".")[2]]
    stored = io.BytesIO()
    picture.save(stored, form, **options)
    with Image.open(stored) as again:
        return stored.getvalue(), again.convert("RGB").tobytes()


def _read(
    file: Path, does: Callable[..., None], data: bytearray, sound: bytes, is_whole: bool
) -> str:
    """Whether a file may be read that is not refused: by its bytes and pixels alone."""
    if bytes(data) == sound:
        return "read, sound" if is_whole else f"sound, but other pixels\t{file.name}"
    if is_whole:
        return f"read, the whole picture after {does.__name__}"
    if does not in (cut, zero_tail, block_tail):
        return f"read, {does.__name__}"
    zeros = len(data) - len(bytes(data).rstrip(b"\0"))
    way = file.name.partition(".")[2]
    if does is not cut and zeros <= UNSEEN.get(way, 0):
        return "read, few zeros at the end"
    if does is zero_tail and way in RAW:
        return "read, another picture's file"
    return f"{does.__name__} taken for whole\t{file.name}, {zeros} zeros of {len(data)} bytes"


def _through_commands(part: Part, place: Path, rows: Sequence[str]) -> None:
    """The files of a batch through data check, fit and predict, which must refuse the same ones."""
    images = place / "batch" / "train" / "class0"
    names = {path.stem: path for path in images.iterdir()}
    refused = {number for number, row in enumerate(rows) if "refused" in row.partition("\t")[0]}
    expected = {str(names[f"{number:03d}"]) for number in refused}
    data = ["-s", f"data.root={place / 'batch'}", "-s", "data.split.validation=false"]
    shutil.rmtree(place / "fitted", ignore_errors=True)
    fit = ["fit", place / "no_workers.yaml", "-q", "--epochs", "2", "--out", "fitted"]
    for words, code in (
        (["data", "check", place / "no_workers.yaml", "--json", *data], 3),
        ([*fit, "-s", "data.unreadable=skip", *data], 0),
        (["predict", place / "trained", images, "--json"], 3),
    ):
        ended = run(words, place=place)
        fine = ended.code == code and not ended.traceback
        part.check(f"{words[0]} of {len(rows)} files", fine, str(ended))
        if not fine:
            continue
        if words[0] == "fit":
            listed = (place / "fitted" / "left_out.txt").read_text("utf-8").splitlines()
            found = {line.partition("\t")[0] for line in listed}
        elif words[0] == "data":
            found = {each["file"] for each in json.loads(ended.out)["unreadable"]}
        else:
            answers = json.loads(ended.out)["predictions"]
            found = {each["file"] for each in answers if each["error"] is not None}
            part.check("an answer for each file", len(answers) == len(rows), str(len(answers)))
        part.checks += len(rows)
        part.failures += [
            f"{words[0]} and decode disagree on {name}: {rows[int(Path(name).stem)]}"
            for name in sorted(found ^ expected)
        ]


def _train(part: Part, place: Path) -> None:
    """A network to predict with."""
    file = write_job("no_workers", place)
    trained = run(["fit", file, "-q", "--epochs", "2", "--out", "trained"], place=place)
    part.check("a network to predict with", trained.code == 0, str(trained))


def _large(part: Part, place: Path) -> None:
    """The largest picture within the limits, four at once as the reading threads take them."""
    code, found = call(lambda: _peak(place / "large"))
    fine = code == 0 and float(found) < MEMORY
    part.check(f"four of 89 megapixels take less than {MEMORY} MB", fine, found[-200:])
    part.numbers["megabytes for four images of 89 megapixels"] = round(float(found)) if fine else 0


def _peak(folder: Path) -> float:
    """Megabytes; a bomb that is refused costs nothing."""
    from cnntrain.core.errors import DataError
    from cnntrain.data.decode import decode

    folder.mkdir()
    files = [folder / f"{number}.png" for number in range(4)]
    call(lambda: Image.new("L", (9400, 9400)).save(files[0]))
    for file in files[1:]:
        file.write_bytes(files[0].read_bytes())

    def read(file: Path) -> int:
        try:
            return decode(file, channels=3, reduction=lambda _: 8.0).width
        except DataError:
            return 0

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, files * 3))  # some of them meet, however the threads happen to run
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
