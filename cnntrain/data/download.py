"""Fetching and reading with torchvision, and what to say when nothing is there."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cnntrain.core.errors import DataError


def missing(name: str, places: Sequence[Path]) -> DataError:
    """The error for a data set whose files are not there."""
    looked = ", ".join(str(place.absolute()) for place in places)
    return DataError(
        f"the files of {name} are not there; looked for {looked}",
        remedy="set `data.root` to the folder that holds them, or `data.download: true`",
    )


def download_torchvision(name: str, root: Path) -> None:
    """Fetch a torchvision data set into `root`.

    Raises:
        DataError: the download failed.
    """
    _open(name, root, train=True, download=True)


def open_torchvision(name: str, root: Path, *, train: bool) -> Any:
    """A torchvision data set that is on the disk; its checksums are verified.

    Raises:
        DataError: files are missing or damaged.
    """
    return _open(name, root, train=train, download=False)


def _open(name: str, root: Path, *, train: bool, download: bool) -> Any:
    # Here, not above: importing torchvision takes seconds, and most data sets do without it.
    import torchvision.datasets as collection

    try:
        return getattr(collection, name)(str(root), train=train, download=download)
    except (OSError, RuntimeError) as error:
        what = "downloading" if download else "reading"
        raise DataError(
            f"{what} {name} in {root.absolute()} failed: {str(error).splitlines()[0]}",
            remedy="check the connection and the free space, or put the files there yourself"
            if download
            else "delete its folder and fetch it again with `data.download: true`",
        ) from error
