"""What is in a torch file, ours or another program's: plain values and tensors, no code is run."""

from __future__ import annotations

import pickle
import re
import struct
import warnings
from pathlib import Path

import torch

from cnntrain.checkpoint.archive import REMEDY, damage
from cnntrain.checkpoint.formats import FOREIGN_REMEDY
from cnntrain.checkpoint.primitives import State
from cnntrain.checkpoint.stand_ins import STAND_INS
from cnntrain.core.errors import CheckpointError

_OLD = b"\x80\x02\x8a\x0a"
"""How torch's files of before 2020 begin: a pickled number of ten bytes."""

_UNPICKLING_ERRORS = (
    pickle.UnpicklingError,
    RuntimeError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    AssertionError,
    struct.error,
)
_NAME = re.compile(r"GLOBAL (\S+)")
"""In torch's errors: what a pickle wants to import."""
_TORCHS_OWN = "WeightsUnpickler error: "
"""In torch's errors: what is behind it is about the file."""
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def read_torch_file(path: Path) -> State:
    """The dictionary in a torch file, a zip file whose checksums are verified; no code is run.

    Raises:
        CheckpointError: see `damage`; or it holds something else than a dictionary of plain values.
    """
    problem = damage(path)
    if problem is not None:
        raise CheckpointError(f"{path} {problem.cause}", remedy=problem.remedy)
    return _dictionary(_unpickled(path, "holds more than plain values and tensors"), path, REMEDY)


def read_foreign_file(path: Path) -> State:
    """As `read_torch_file`, for another program's file, which may be of before 2020, and hold more.

    Files of before 2020 have no checksums. In place of what `STAND_INS` names are objects that
    stand for nothing.
    """
    problem = None if _is_old(path) else damage(path)
    if problem is not None:
        remedy = FOREIGN_REMEDY if problem.remedy == REMEDY else problem.remedy
        raise CheckpointError(f"{path} {problem.cause}", remedy=remedy)
    trouble = "holds more than plain values and tensors"
    trouble = f"is damaged, or {trouble}" if _is_old(path) else trouble
    with torch.serialization.safe_globals(STAND_INS):
        return _dictionary(_unpickled(path, trouble), path, FOREIGN_REMEDY)


def _is_old(path: Path) -> bool:
    """Whether it begins as torch's files of before 2020; False also where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_OLD)) == _OLD
    except OSError:
        return False


def _unpickled(path: Path, trouble: str) -> object:
    try:
        with path.open("rb") as file, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a pickle's protocol, which the error is about
            # not by its name: torch.load takes the suffix .safetensors for what is in it
            return torch.load(file, map_location="cpu", weights_only=True)
    except _UNPICKLING_ERRORS as error:
        raise CheckpointError(
            f"{path} {trouble}: {_reason(error)[:200]}",
            remedy="such a file can run code when it is read; if you trust its author, take its "
            "state_dict out with torch, and save that",
        ) from error
    except OSError as error:
        raise CheckpointError(f"{path} cannot be read: {error.strerror or error}") from error


def _reason(error: Exception) -> str:
    """The name that a file wants to import, or what torch says in its first line about the file."""
    text = _COLOUR.sub("", str(error))
    if name := _NAME.search(text):
        return name[1]
    lines = (text.partition(_TORCHS_OWN)[2] or text).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _dictionary(found: object, path: Path, remedy: str) -> State:
    if not isinstance(found, dict):
        message = f"{path} holds a {type(found).__name__}, not a dictionary"
        raise CheckpointError(message, remedy=remedy)
    return dict(found)
