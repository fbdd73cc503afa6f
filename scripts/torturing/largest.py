"""The largest image of each format through whole commands: memory and exit codes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, features

from torturing.jobs import Note
from torturing.part import Part
from torturing.processes import Command, call

SIZE = (9450, 9460)
"""89.4 of the 89.5 megapixels that are allowed."""
SMALLER = (7850, 7860)
"""61.7 megapixels, all that the limit of 1,000 MB to decode leaves WebP, AVIF and HEIC."""
PIXELS: dict[str, tuple[str, dict[str, Any]]] = {
    "cmyk.jpg": ("CMYK", {}), "rgba.png": ("RGBA", {}), "turned.png": ("RGB", {"exif": 6}),
    "turned.jpg": ("RGB", {"exif": 8}), "rgb.jpg": ("RGB", {}), "grey.jpg": ("L", {}),
    "turned.cmyk.jpg": ("CMYK", {"exif": 5}), "16bit.png": ("I;16", {}), "palette.png": ("P", {}),
    "grey_alpha.png": ("LA", {}), "rgb.png": ("RGB", {}), "raw.tif": ("CMYK", {}),
    "turned.tif": ("RGB", {"exif": 6}), "lzw.tif": ("RGBA", {"compression": "tiff_lzw"}),
    "palette.gif": ("P", {}), "rgba.bmp": ("RGBA", {}), "rgb.ppm": ("RGB", {}),
    "progressive.jpg": ("RGB", {"progressive": True}), "rgba.webp": ("RGBA", {"method": 0}),
    "rgb.avif": ("RGB", {"speed": 10}), "rgb.heic": ("RGB", {}),
}  # fmt: skip
"""Mode and how it is saved; exif: an orientation. Left out: interlaced PNG, which Pillow does not
write, and which takes what the others do."""
DECODERS = ("progressive.jpg", "rgba.webp", "rgb.avif", "rgb.heic")
"""Those of which the decoder itself holds more than the pixels, up to 1,000 MB in all."""
LIMIT = 600.0
"""Seconds that a command may take."""
MEMORY = 1000
"""Megabytes that a command may take for itself; pages of libraries are shared."""
RUN_FILE = """
name: largest
compute: {{threads: 1}}
arch: {{layers: [global_avg_pool, {{linear: {{out: $num_classes}}}}]}}
data:
  name: image_folder
  root: {root}
  split: {{validation: false}}
  batch_size: 2
  transforms: {{train: [{{resize: {{size: [32, 32]}}}}], eval: [{{resize: {{size: [32, 32]}}}}]}}
train: {{epochs: 1, optimizer: {{name: sgd, lr: 0.01}}}}
"""


def read(place: Path, *, seed: int, count: int, note: Note) -> Part:
    """`data check`, `fit` and `predict` of each, next to a small picture."""
    part = Part("largest", "the largest image of each format, through whole commands")
    root = place / "data"
    folders = [root / "train" / name for name in ("large", "small")]
    for folder in folders:
        folder.mkdir(parents=True)
        Image.new("RGB", (30, 30)).save(folder / "picture.png")
    (place / "run.yaml").write_text(RUN_FILE.format(root=root))
    part.numbers["the program alone, MB"] = _measure(part, place, folders[0], "picture.png")
    (folders[0] / "picture.png").unlink()
    for name in list(PIXELS)[:count]:
        if name.endswith("avif") and not features.check("avif"):
            continue
        code, error = call(lambda n=name: draw(folders[0] / n, seed=seed))
        if part.check(f"{name} is drawn", code == 0, error[-300:]):
            part.numbers[f"{name}, MB"] = _measure(part, place, folders[0], name)
        (folders[0] / name).unlink(missing_ok=True)
        note(f"{name}, {len(part.failures)} failures")
    return part


def draw(file: Path, *, seed: int) -> None:
    """Soft blots of grey; what opens HEIC must be registered for writing."""
    if file.suffix == ".heic":
        import pillow_heif

        pillow_heif.register_heif_opener()
    mode, how = PIXELS[file.name]
    options: dict[str, Any] = dict(how)
    blots = np.random.default_rng(seed).integers(0, 255, (60, 63), np.uint8)
    size = SMALLER if file.suffix in (".webp", ".avif", ".heic") else SIZE
    picture = Image.fromarray(blots).resize(size, Image.Resampling.BICUBIC)
    if orientation := options.pop("exif", None):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = orientation
    if file.suffix == ".png":
        options["compress_level"] = 1
    wide = picture.convert("I").point(lambda v: v * 256) if mode == "I;16" else picture
    wide.convert(mode).save(file, **options)


def _measure(part: Part, place: Path, folder: Path, name: str) -> dict[str, str]:
    """Of each command megabytes of its own, and with the pages of libraries (`ru_maxrss`)."""
    found = {}
    for words in (
        ["data", "check", "run.yaml"],
        ["fit", "run.yaml", "-q", "--out", f"of_{name}"],
        ["predict", f"of_{name}", str(folder / name)],
    ):
        command = Command(words, place=place, is_program=True)
        most = [0.0]

        def look(pid: int = command.pid, most: list[float] = most) -> bool:
            most.append(max(most.pop(), _own(pid)))
            return False

        command.wait_until(look)
        ended = command.wait(LIMIT)
        part.check(f"{words[0]} of {name}", ended.code == 0 and not ended.traceback, str(ended))
        limit = MEMORY + 400 * (name in DECODERS)
        fine = 0 < most[0] < limit
        part.check(f"{words[0]} of {name} takes less than {limit} MB", fine, f"{most[0]:.0f} MB")
        found[words[0]] = f"{most[0]:.0f} of {ended.megabytes:.0f}"
    return found


def _own(pid: int) -> float:
    """Megabytes of memory of a process that are not pages of files."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    found = re.search(r"RssAnon:\s+(\d+) kB", text)
    return int(found[1]) * 1024 / 1e6 if found else 0.0
