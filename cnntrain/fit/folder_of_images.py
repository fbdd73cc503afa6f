"""`cnntrain fit FOLDER`: a run file for a folder of images, chosen by what is there."""

from __future__ import annotations

import json
import re
import shlex
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import torch

from cnntrain.assemble.transfer.torchvision_weights import find_published
from cnntrain.config import shipped
from cnntrain.core.atomic import write_output
from cnntrain.core.document import parse_document, read_document
from cnntrain.core.errors import CnntrainError, DataError, UsageError
from cnntrain.data.decode import UnreadableImageError, header_size
from cnntrain.data.layouts import find_layout
from cnntrain.data.misplaced import ARCHIVES, TABLES, no_such_folder
from cnntrain.data.on_disk import class_folders, list_images
from cnntrain.show.words import counted

MEASURED = 100  # images whose size is looked at
SMALL_SIDE, MANY_SMALL = 64, 2_000
"""Smaller images, where there are enough of them, are not for networks made for 224 pixels."""
MOST_ON_CPU = 1_000  # images for which a ResNet-50 is refined without a GPU
FEW = 500  # images for which smaller batches are needed, so that an epoch has enough steps
_LAST = "  select: last                  # with so few images, validation selects by chance"

_TWO_FOLDERS = "# training images in train/CLASS/, validation in val/CLASS/"
_ONE_FOLDER = "# images in CLASS/; a fifth of them is held out for validation"


@dataclass(frozen=True)
class Images:
    """What lies in a folder: training images, classes, the median of the shorter sides.

    `undivided`: the class folders are in no split's folder.
    """

    count: int
    classes: int
    side: int
    undivided: bool = False

    def __str__(self) -> str:
        images = f"{counted(self.count, 'image')} of {counted(self.classes, 'class', 'classes')}"
        return f"{images}, about {self.side} pixels wide or high"


@dataclass(frozen=True)
class ChosenFile:
    """A shipped run file, and why this one."""

    name: str
    why: str


def is_folder_of_images(name: str) -> bool:
    """Whether the command line names a folder to train on, not a run file, a run or a shipped file.

    `digits` is the shipped file, `digits/` the folder; `my_images` is my_images.yaml if that is
    there.
    """
    path = Path(name)
    if not path.is_dir() or any((path / f"{at}config.yaml").is_file() for at in ("", "latest/")):
        return False
    is_bare = path.name == name
    return not (is_bare and (Path(f"{name}.yaml").is_file() or shipped.find(name)))


def look(folder: Path) -> Images:
    """Count the training images of a folder; raises DataError where its layout is not clear."""
    try:
        layout = find_layout(str(folder))
    except DataError as error:
        raise _as_commands(error) from error
    folders = class_folders(layout.train)
    paths = [
        image for each in folders.values() for path in each for image in list_images(path).images
    ]
    sides = []
    for path in paths[:: max(len(paths) // MEASURED, 1)]:
        try:
            sides.append(min(header_size(path)))
        except UnreadableImageError:  # it is said when it is trained on
            continue
    side = round(median(sides)) if sides else 0
    return Images(len(paths), len(folders), side, undivided=layout.undivided)


def refuse_other_file(path: Path) -> None:
    """Raise a DataError for a table or an archive in the place of a run file."""
    if path.is_file() and path.suffix.lower() in TABLES | ARCHIVES:
        raise _as_commands(no_such_folder(path, key="data.root"))


def _as_commands(error: DataError) -> DataError:
    """The error, with whole commands in place of the overrides in its remedy."""

    def command(found: re.Match[str]) -> str:
        folder = re.fullmatch(r"-s ('?)data\.root=((?:(?! -s ).)*)", found[0])
        return f"cnntrain fit {folder[1] + folder[2] if folder else f'starter {found[0]}'}"

    problem = error.problems[0]
    remedy = re.sub(r"-s ('[^']*'|\S+)( -s ('[^']*'|\S+))*", command, problem.remedy)
    return DataError(problem.message, remedy=remedy)


def choose(images: Images, *, on_gpu: bool, has_weights: Callable[[str], bool]) -> ChosenFile:
    """The shipped run file for them.

    Args:
        images: of the training split.
        on_gpu: whether it trains on a GPU.
        has_weights: whether torchvision's weights of that name are on this machine.
    """
    place = "a GPU" if on_gpu else "no GPU"
    if images.side < SMALL_SIDE and images.count >= MANY_SMALL:
        return ChosenFile("starter", "many small images: a small network, trained from scratch")
    small = has_weights("resnet18/IMAGENET1K_V1")
    is_fast_enough = on_gpu or (not small and images.count <= MOST_ON_CPU)
    if is_fast_enough and has_weights("resnet50/IMAGENET1K_V2"):
        return ChosenFile(
            "finetune", f"{place}, and the weights of a ResNet-50 are here: it is refined"
        )
    if small:
        why = f"{place}, and the weights of a ResNet-18 are here: a new last layer on its features"
        return ChosenFile("probe", why)
    why = (
        "no weights of torchvision's ResNets are here: a small network, trained from scratch; "
        f"`cnntrain fit {'finetune' if on_gpu else 'probe'} -s data.root=%s` downloads some "
        f"({98 if on_gpu else 45} MB), and usually makes fewer errors"
    )
    return ChosenFile("starter", why)


def run_file_for(name: str, *, overrides: Sequence[str] = (), tell: Callable[[str], None]) -> Path:
    """The run file for a folder: the one that was written for it earlier, else a new one.

    It is written to the working folder, named after the folder; no file is overwritten.

    Args:
        name: the folder.
        overrides: those of `-s`; whether a GPU is wanted is read from them.
        tell: called with what is there, what is chosen and why, and how to repeat it.

    Raises:
        DataError: the folder's layout is not clear.
    """
    folder = Path(name)
    stem = re.sub(r"[^\w.-]+", "_", folder.resolve().name).strip("._-") or "images"
    file, number = Path(f"{stem}.yaml"), 1
    while file.exists():
        if _root_of(file) == folder.resolve():
            tell(f"{file} is used, whose data.root is {folder}; rename it to have one chosen again")
            return file
        number += 1
        file = Path(f"{stem}-{number}.yaml")
    images = look(folder)
    chosen = choose(images, on_gpu=_on_gpu(overrides), has_weights=_is_here)
    why = chosen.why.replace("%s", str(folder))
    about = (f"Written by `cnntrain fit {folder}`: {images}.", f"{chosen.name}: {why}.")
    fill = partial(textwrap.fill, width=98, initial_indent="# ", subsequent_indent="# ")
    header = "\n".join(map(fill, about))
    write_output(file, (f"{header}\n" + _text(chosen, folder, images)).encode())
    tell(f"{folder}: {images}")
    tell(f"chosen: {chosen.name}; {why}")
    given = [word for each in overrides for word in ("-s", each)]
    again = shlex.join(["cnntrain", "fit", str(file), *given])
    tell(f"written: {file}; to change it, edit that file; to repeat it: {again}")
    return file


def _root_of(file: Path) -> Path | None:
    """The images of a run file; None where it is not one that says so."""
    try:
        tree = read_document(file).data
        return Path(tree["data"]["root"]).resolve()
    except (CnntrainError, OSError, KeyError, TypeError):
        return None


def _on_gpu(overrides: Sequence[str]) -> bool:
    wanted = [text.split("=", 1)[1] for text in overrides if text.startswith("compute.device=")]
    return torch.cuda.is_available() if not wanted else wanted[-1].startswith("cuda")


def _is_here(weights: str) -> bool:
    return find_published(weights).path.is_file()


def _text(chosen: ChosenFile, folder: Path, images: Images) -> str:
    """The shipped file without its header, with the folder, and batches and sizes that fit."""
    source = shipped.find(chosen.name)
    if source is None:
        raise UsageError(f"the shipped run file {chosen.name} is missing", remedy="reinstall")
    text = re.sub(r"\A(#.*\n)+", "", source.read_text("utf-8")).lstrip("\n")
    text = re.sub(r"(?<=root: )my_images", lambda _: _written(str(folder)), text)
    if images.undivided:
        text = text.replace(_TWO_FOLDERS, _ONE_FOLDER)
    if images.count < FEW:
        text = text.replace("batch_size: 32", "batch_size: 16")
        text = re.sub(r"^(  epochs: \d+)$", rf"\1\n{_LAST}", text, flags=re.MULTILINE)
    is_starter = chosen.name == "starter"
    if is_starter and images.side >= 112 and images.count < FEW:  # more steps in less time
        text = text.replace("stem_stride: 1", "stem_stride: 2").replace("epochs: 30", "epochs: 60")
    if is_starter and images.side < 112:  # 128 would only enlarge them
        size = 64 if images.side >= 48 else 32
        text = text.replace("size: 128", f"size: {size}").replace("size: 144", f"size: {size}")
    return text


def _written(value: str) -> str:
    """A text in YAML: as it is where it is read so, else quoted."""
    try:
        is_plain = parse_document(f"root: {value}", name="").data == {"root": value}
    except CnntrainError:
        is_plain = False
    return value if is_plain else json.dumps(value, ensure_ascii=False)
