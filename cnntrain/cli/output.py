"""Where the commands' words go: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from cnntrain.core.errors import UsageError

if TYPE_CHECKING:
    from cnntrain.show.image_table import Picture


def result(text: str) -> None:
    """Print a result on stdout."""
    typer.echo(text)


def result_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def note(text: str) -> None:
    """Say something on stderr."""
    print(text, file=sys.stderr)  # noqa: T201


@contextmanager
def log_shown(shown: bool) -> Iterator[None]:
    """Say on stderr, too, what the run's log says, if that is asked for."""
    if not shown:
        yield
        return
    logger, handler = logging.getLogger("cnntrain"), logging.StreamHandler(sys.stderr)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def new_file(
    given: Path | None, *, usual: str, force: bool, suffixes: Sequence[str] = (".png", ".svg")
) -> Path:
    """The file that a command is to write.

    Args:
        given: on the command line.
        usual: its name where none is given.
        force: whether it may exist already.
        suffixes: one of which it must have.

    Raises:
        UsageError: it cannot be written.
    """
    path = given or Path(usual)
    if path.suffix.lower() not in suffixes:
        raise UsageError(
            f"{path} is no {' or '.join(suffixes)} file", remedy="end the name of --out in that"
        )
    if path.is_dir() or (path.exists() and not force):
        raise UsageError(f"{path} already exists", remedy="give another --out, or --force")
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", remedy="make it first")
    return path


def picture(made: Picture, file: Path, *, as_json: bool) -> None:
    """Save a picture, and tell its file: with all its numbers, or beside a sentence on stderr."""
    from cnntrain.show.image_table import save

    save(made.figure, file)
    if as_json:
        result_json({"file": str(file), **made.facts})
        return
    if made.table:
        result(made.table)
    if made.text:
        note(made.text)
    result(str(file))
