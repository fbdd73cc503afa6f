"""Which kind of file somebody's weights are in, by its first bytes: suffixes say little."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Literal

from cnntrain.core.errors import CheckpointError

FOREIGN_REMEDY = "save `model.state_dict()` with torch.save, or as .safetensors, and name that file"
"""What to do about a file with weights that is none of ours."""

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
_LONGEST = 100_000_000
"""Bytes of a safetensors file's header, as its library has it."""

_OTHERS = (
    (b"\x93NUMPY", "is an array of NumPy's", FOREIGN_REMEDY),
    (b"\x89HDF", "is an HDF5 file, such as Keras writes", FOREIGN_REMEDY),
    (b"\x1f\x8b", "is compressed", "unpack it with gunzip"),
    (b"version https://git-lfs", "is a pointer of Git LFS, not the file", "run `git lfs pull`"),
    (b"<", "is a web page, not weights", "open its address in a browser, and fetch it again"),
)


def format_of(path: Path) -> Literal["safetensors", "torch"]:
    """How the weights in a file are stored; what is called safetensors counts as such.

    Raises:
        CheckpointError: it is another kind of file.
        OSError: it cannot be read.
    """
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise CheckpointError(f"{path} {what}", remedy="name a file with weights")
    with path.open("rb") as file:
        head = file.read(32)
    if head.startswith(_ZIP):
        _refuse_arrays(path)
        return "torch"
    if head.startswith(_PICKLE):
        return "torch"
    length = int.from_bytes(head[:8], "little")
    if path.suffix == ".safetensors" or (head[8:9] == b"{" and length <= _LONGEST):
        return "safetensors"
    for start, what, remedy in _OTHERS:
        if head.lstrip().startswith(start):
            raise CheckpointError(f"{path} {what}", remedy=remedy)
    what = "is not a file of weights: it begins neither like torch's nor like safetensors"
    what = what if head else "is empty"
    raise CheckpointError(f"{path} {what}", remedy=FOREIGN_REMEDY)


def _refuse_arrays(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        return  # what is damaged is found before torch reads it
    if names and all(name.endswith(".npy") for name in names):
        raise CheckpointError(f"{path} holds arrays of NumPy's (.npz)", remedy=FOREIGN_REMEDY)
