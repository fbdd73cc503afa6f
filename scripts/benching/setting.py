"""What a part of scripts/bench is given."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benching.row import Row


class Unavailable(Exception):  # noqa: N818  # no error: the part is left out, and says why
    """Something that a part needs is not on this machine."""


@dataclass(frozen=True)
class Setting:
    """Where the data are, and how much is done.

    Args:
        data: a folder with MNIST/raw, cifar10/{train,test}/CLASS, hymenoptera/{train,val}/CLASS.
        scratch: an empty folder of this part.
        rounds: how often each way takes its turn; a part may do more of what is short.
    """

    data: Path
    scratch: Path
    rounds: int

    def folder(self, name: str) -> Path:
        """A folder of the data.

        Raises:
            Unavailable: it is not there.
        """
        found = self.data / name
        if not found.is_dir():
            raise Unavailable(f"there is no folder {name} in --data")
        return found


Measure = Callable[[Setting], Iterator[Row]]


def missing(package: str) -> str:
    """Why a peer cannot take part; empty if it can."""
    there = importlib.util.find_spec(package) is not None
    return "" if there else f"{package} is not installed: `pip install 'cnntrain[bench]'`"
