"""Data sets of the Hugging Face library `datasets`: images as files, labels as names."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnntrain.core.atomic import write_atomically
from cnntrain.core.cache_folder import cache_folder
from cnntrain.core.errors import DataError, UsageError
from cnntrain.core.problems import near_match, suggestion
from cnntrain.data.labelled_files import LabelledFile
from cnntrain.data.misplaced import NAMES
from cnntrain.data.on_disk import expanded
from cnntrain.show.words import listed

_ENDS = {b"\xff\xd8": "jpg", b"\x89P": "png", b"GI": "gif", b"RI": "webp", b"II": "tif",
         b"MM": "tif", b"BM": "bmp"}  # fmt: skip
_TABLE_FILES = {".parquet": "parquet", ".arrow": "arrow"}


@dataclass(frozen=True)
class HubData:
    """What is read, and how.

    Args:
        path: a folder (of `save_to_disk`, of Parquet or Arrow files, of images), or a name on the
            hub, `owner/name`.
        subset: its configuration, where it has several.
        revision: which version of it: a commit, a tag or a branch.
        download: fetch what is not in the library's cache.
        streaming: take the examples one after another, without the library's own copy.
    """

    path: str
    subset: str | None = None
    revision: str | None = None
    download: bool = False
    streaming: bool = False


def open_hub(asked: HubData) -> Mapping[str, Any]:
    """The splits of a data set by name, as the library gives them.

    Raises:
        UsageError: the library is not installed.
        DataError: there is no such data set here, or it cannot be read.
    """
    library = _library()
    folder = expanded(asked.path, key="data.path")
    is_here = folder.is_dir()
    if not is_here and (asked.path.count("/") != 1 or folder.is_absolute()):
        raise DataError(
            f"there is no folder {folder}, and it is not a name on the hub (owner/name)",
            remedy="correct data.path",
        )
    if not is_here and asked.download and asked.revision is None:
        raise DataError(
            f"it is not said which version of {asked.path} is to be fetched",
            remedy="set data.revision to a commit, a tag, or main",
        )
    with _failures(asked, is_here=is_here):
        if is_here and ((folder / "dataset_dict.json").is_file() or
                        (folder / "dataset_info.json").is_file()):  # fmt: skip
            found = library.load_from_disk(str(folder))
            found = found if isinstance(found, dict) else {"train": found}
            if asked.streaming:
                found = {name: part.to_iterable_dataset() for name, part in found.items()}
        elif is_here:
            found = library.load_dataset(**_local(folder), streaming=asked.streaming)
        else:
            found = library.load_dataset(
                asked.path, asked.subset, revision=asked.revision, streaming=asked.streaming
            )
    return found if isinstance(found, dict) else {"train": found}


def _library() -> Any:
    try:
        import datasets  # an extra; it takes seconds
    except ImportError as error:
        raise UsageError(
            "data.name: huggingface needs the library datasets",
            remedy="pip install 'cnntrain[huggingface]'",
        ) from error
    datasets.disable_progress_bars()
    return datasets


def _local(folder: Path) -> dict[str, Any]:
    """What to load of a folder: its Parquet or Arrow files by split, else its image folders."""
    for suffix, builder in _TABLE_FILES.items():
        files = sorted(folder.rglob(f"*{suffix}"))
        if files:
            by_split: dict[str, list[str]] = {}
            for file in files:  # train-00000-of-00002.parquet, train/0.parquet
                words = f"{file.parent.name}-{file.name}".casefold().replace(".", "-").split("-")
                split = next((s for s, names in NAMES.items() if set(names) & set(words)), "train")
                by_split.setdefault(split, []).append(str(file))
            return {"path": builder, "data_files": by_split}
    return {"path": "imagefolder", "data_dir": str(folder)}


@contextmanager
def _failures(asked: HubData, *, is_here: bool) -> Iterator[None]:
    """What the library raises, as our error; nothing is fetched unless that is wanted."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    offline = os.environ.get("HF_HUB_OFFLINE")
    if not asked.download:
        datasets.config.HF_HUB_OFFLINE = True
        os.environ["HF_HUB_OFFLINE"] = "1"
    try:
        yield
    except (
        OSError,
        ValueError,
        RuntimeError,
        KeyError,
        datasets.exceptions.DatasetsError,
    ) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        remedy = "check data.path, data.subset and data.revision"
        if not is_here and not asked.download:
            remedy = "set data.download: true (and data.revision) to fetch it"
        raise DataError(f"{asked.path} cannot be opened: {said}", remedy=remedy) from error
    finally:
        datasets.config.HF_HUB_OFFLINE = before
        if offline is None:
            os.environ.pop("HF_HUB_OFFLINE", None)
        else:
            os.environ["HF_HUB_OFFLINE"] = offline


def split_names(found: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """What the data set calls each of our splits; `given` names it, False leaves it out."""
    names: dict[str, str] = {}
    for split, usual in NAMES.items():
        name = given.get(split)
        if name is False:
            continue
        if name is None:
            name = next((each for each in found if each.casefold() in usual), None)
        elif name not in found:
            raise DataError(
                f"there is no split '{name}' (data.{split}_split)", remedy=suggestion(name, found)
            )
        if name is not None:
            names[split] = name
    if "train" not in names:
        if len(found) > 1:
            raise DataError(
                f"no split is called train; there are {listed(list(found), most=6)}",
                remedy="say which one to train on: data.train_split",
            )
        names["train"] = next(iter(found))
    return names


def columns_of(features: Any, *, image: str | None, label: str | None) -> tuple[str, str]:
    """The columns of the images and of the labels, given or found by their types.

    Raises:
        DataError: there is no such column, or several could be meant.
    """
    names = list(features or {})
    kinds = {name: type(feature).__name__ for name, feature in (features or {}).items()}
    found: list[str] = []
    for what, given, kind in (("image", image, "Image"), ("label", label, "ClassLabel")):
        if given is not None:
            if given not in names:
                message = f"there is no column '{given}' (data.{what}_column)"
                raise DataError(message, remedy=suggestion(given, names))
            found.append(given)
            continue
        fit = [name for name in names if kinds[name] == kind]
        fit = fit or [name for name in [near_match(what, names)] if name is not None]
        if len(fit) != 1:
            raise DataError(
                f"which column has the {what}s is not clear: {listed(fit or names, most=8)}",
                remedy=f"say it: data.{what}_column",
            )
        found.append(fit[0])
    return found[0], found[1]


def files_of(
    examples: Any, *, split: str, folder: str, image: str, label: str
) -> Iterator[LabelledFile]:
    """Each example's image as a file: its own, or one that is written into the cache once.

    The bytes are those that the data set holds, not decoded. Of a memory-mapped table one example
    is in memory at a time.
    """
    place = cache_folder() / "huggingface" / folder / split
    names = getattr(examples.features[label], "names", None)
    for number, example in enumerate(_undecoded(examples, image)):
        where = f"{split}[{number}]"
        value, target = example[image], example[label]
        if not isinstance(value, Mapping):
            raise DataError(
                f"{where}: the column '{image}' holds no image, but {type(value).__name__}",
                remedy="say which column does: data.image_column",
            )
        if target is None or (names is not None and target < 0):
            raise DataError(f"{where}: there is no label", remedy="choose another split")
        text = str(target) if names is None else str(names[target])
        path = Path(value["path"]) if value.get("path") else None
        if value.get("bytes") is not None:
            path = _written(place, number, value["bytes"])
        elif path is None or not path.is_file():
            raise DataError(f"{where}: the image {path} is not there", remedy="check data.path")
        yield LabelledFile(path, text, where, split)


def _undecoded(examples: Any, image: str) -> Iterator[Any]:
    import datasets

    kind = examples.features[image]
    if isinstance(kind, datasets.Image):
        examples = examples.cast_column(image, datasets.Image(decode=False))
    yield from examples


def _written(place: Path, number: int, content: bytes) -> Path:
    """The file of these bytes, unless it is there already."""
    path = place / f"{number // 1000:04}" / f"{number:07}.{_ENDS.get(content[:2], 'png')}"
    if path.is_file() and path.read_bytes() == content:
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(
        path, lambda file: file.write(content), needed=len(content), mark=f".{os.getpid()}"
    )
    return path
