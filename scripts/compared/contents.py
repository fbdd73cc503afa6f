"""What a command left, as values that can be compared, and how two of them differ."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from PIL import Image
from safetensors import safe_open

CLOCK = re.compile(
    r"(.*_)?seconds|images_per_second|data_wait|peak_memory_bytes|time|host|pid|argv|git|packages"
    r"|working_folder|platform"
)
"""Keys and columns of what differs from run to run or from machine to machine."""
NUMBER = r"\d[\d,]*(?:\.\d+)?(?:e[+-]?\d+)?"
DAY = r"20\d\d-?\d\d-?\d\d"
MASKS = (
    (re.compile(rf"{DAY}[T_ -]?\d\d[:-]?\d\d[:-]?\d\d([+.,]\d[\d:]*)?(-[0-9a-f]{{4}})?"), "TIME"),
    (re.compile(r"tfevents\.[\w.-]+"), "tfevents"),
    (re.compile(rf"{NUMBER} (images/s|ms|s|min|h|seconds|minutes)\b"), "SPEED"),
    (re.compile(r"[\d.]+ [kM]B (?=in SPEED)"), "SIZE "),
    (re.compile(r"(data wait|waiting for data:?) +\d+ %|\d+ % of the time waiting"), "WAIT"),
    (re.compile(r"(?m)^.*spent \d+ % of its time waiting for data.*\n"), ""),
    (re.compile(r'(?m)^ *File ".*", line \d+, in .*\n( {4,}.*\n)*'), ""),  # of a traceback
    (re.compile(rf"{NUMBER} kB, (?=logits)"), ""),  # an exported file holds paths of source files
    (re.compile(r"\bprocess \d+"), "PROCESS"),
    (re.compile(r"0x[0-9a-f]+"), "ADDRESS"),
    (re.compile(r"\b(?:image|[pmC])[0-9a-f_]{10,}\b"), "ID"),  # of a shape in matplotlib's SVG
    (re.compile(r"(?m)^(\w+ +(?:fine|suspicion|alarm|ALARM|\w+) +)\d+\.\d(?= )"), r"\1SECONDS"),
)
"""What is masked in text and in file names."""
TELLING = re.compile(rf"--[a-z][\w-]*|{NUMBER}")
"""The parts of a text that are more than words: flags and numbers."""


@dataclass(frozen=True)
class Text:
    """Words for people, as against data."""

    text: str


@dataclass(frozen=True)
class Difference:
    """One value that is not the same.

    Args:
        place: of it, from the command's output or a file down to the key.
        what: old and new, shortened.
        words: whether only the wording differs.
    """

    place: str
    what: str
    words: bool = False


def masked(text: str, places: Mapping[str, str]) -> str:
    """The text without times, process numbers and the folders of this comparison."""
    for path, name in places.items():
        text = text.replace(path, name)
    for pattern, name in MASKS:
        text = pattern.sub(name, text)
    return text


def read(file: Path, places: Mapping[str, str]) -> Any:
    """The content of a file, by its suffix."""
    match file.suffix:
        case ".json":
            return read_json(file.read_text(), places)
        case ".jsonl":
            return [_clean(json.loads(line), places) for line in file.read_text().splitlines()]
        case ".csv":
            return [_clean(row, places) for row in csv.DictReader(io.StringIO(file.read_text()))]
        case ".yaml":
            return _clean(yaml.safe_load(file.read_text()), places)
        case ".pt":
            checkpoint = torch.load(file, weights_only=True)
            if isinstance(checkpoint.get("config"), str):
                checkpoint["config"] = yaml.safe_load(checkpoint["config"])
            return _clean(checkpoint, places)
        case ".npz":
            with np.load(file) as arrays:
                return {name: torch.tensor(_plain(arrays[name])) for name in arrays}
        case ".safetensors":
            with safe_open(file, "pt") as tensors:
                about = {key: json.loads(text) if text[:1] in "[{" else text
                         for key, text in tensors.metadata().items()}  # fmt: skip
                names = tensors.keys()
                return {"about": _clean(about, places)} | {n: tensors.get_tensor(n) for n in names}
        case ".png":
            return torch.tensor(np.asarray(Image.open(file)))
        case ".pth":
            return torch.load(file, weights_only=True)
        case ".txt" | ".log" | ".html" | ".svg" | ".md":
            return Text(masked(file.read_text(), places))
        case _:
            return file.stat().st_size > 0


def read_json(text: str, places: Mapping[str, str]) -> Any:
    """Parsed and masked."""
    return _clean(json.loads(text), places)


def _plain(array: np.ndarray) -> np.ndarray:
    return np.frombuffer("\n".join(map(str, array.ravel())).encode(), np.uint8).copy() \
        if array.dtype.kind in "UO" else array  # fmt: skip


def _clean(value: Any, places: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {
            masked(str(key), places): "CLOCK" if CLOCK.fullmatch(str(key)) else _clean(item, places)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [_clean(item, places) for item in value]
    return masked(value, places) if isinstance(value, str) else value


def differences(old: Any, new: Any, place: str) -> Iterator[Difference]:
    """Where two values differ, key by key."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in old.keys() | new.keys():
            inside = f"{place}/{key}"
            if key not in new:
                yield Difference(inside, f"{_short(old[key])} is gone")
            elif key not in old:
                yield Difference(inside, f"{_short(new[key])} was added")
            else:
                yield from differences(old[key], new[key], inside)
    elif isinstance(old, list) and isinstance(new, list):
        if len(old) != len(new):
            yield Difference(place, f"{len(old)} items -> {len(new)}: {_first(old, new)}")
        else:
            for number, (one, other) in enumerate(zip(old, new, strict=True)):
                yield from differences(one, other, f"{place}/{number}")
    elif isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor):
        yield from _tensors(old, new, place)
    elif isinstance(old, Text) and isinstance(new, Text):
        yield from _texts(old.text, new.text, place)
    elif type(old) is not type(new) or not (old == new or (old != old and new != new)):
        yield Difference(place, f"{_short(old)} -> {_short(new)}", words=_reworded(old, new))


def _tensors(old: torch.Tensor, new: torch.Tensor, place: str) -> Iterator[Difference]:
    if (old.shape, old.dtype) != (new.shape, new.dtype):
        yield Difference(place, f"{tuple(old.shape)} {old.dtype} -> {tuple(new.shape)} {new.dtype}")
    elif not torch.equal(_bits(old), _bits(new)):
        largest = (old.double() - new.double()).abs().max().item()
        yield Difference(
            place, f"{int((old != new).sum())} of {old.numel()} differ by <= {largest:.3g}"
        )


def _bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8)


def _texts(old: str, new: str, place: str) -> Iterator[Difference]:
    if old != new:
        before, after = old.splitlines(), new.splitlines()
        same_facts = TELLING.findall(old) == TELLING.findall(new)
        yield Difference(place, _first(before, after), words=same_facts)


def _reworded(old: Any, new: Any) -> bool:
    """Whether both are sentences with the same numbers."""
    return (
        isinstance(old, str)
        and isinstance(new, str)
        and min(len(old.split()), len(new.split())) >= 3
        and TELLING.findall(old) == TELLING.findall(new)
    )


def _first(old: Sequence[Any], new: Sequence[Any]) -> str:
    for number, one in enumerate(old):
        if number >= len(new) or new[number] != one:
            other = new[number] if number < len(new) else "nothing"
            return f"{_short(one)} -> {_short(other)}"
    return f"nothing -> {_short(new[len(old)])}" if len(new) > len(old) else "the same"


def _short(value: Any) -> str:
    text = " ".join((value if isinstance(value, str) else repr(value)).split())
    return text if len(text) <= 150 else f"{text[:147]}..."
