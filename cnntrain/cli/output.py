"""Where the commands' words go: results to stdout, everything else to stderr."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from cnntrain.core.errors import UsageError
from cnntrain.core.escapes import escaped
from cnntrain.core.stderr import PlainLines, say

if TYPE_CHECKING:
    from cnntrain.show.image_table import Picture

T = TypeVar("T")


failures: list[OSError] = []
"""Why results could not be printed: a reader that has left (`| head`), a full disk."""


def result(text: str, *, is_needed: bool = True) -> None:
    """Print a result on stdout; where that fails, the command continues and writes its files.

    `is_needed` is False for what is on disk anyway: then a full disk changes no exit code.
    """
    try:
        # not typer.echo, which writes UTF-8 where ASCII is asked for
        sys.stdout.write(escaped(text, keep="\n\t") + "\n")
        sys.stdout.flush()
    except OSError as error:
        if is_needed:
            failures.append(error)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def result_json(value: Any) -> None:
    """Print one JSON object on stdout; figures that have no meaning (NaN) are null."""
    from cnntrain.record.json_text import json_text

    utf8 = (sys.stdout.encoding or "").lower().startswith("utf")
    result(json_text(value, indent=2, only_ascii=not utf8))


def answer(found: T, as_json: bool, *, data: Callable[[T], Any], text: Callable[[T], str]) -> None:
    """Print what a command found: as one JSON object, or in words."""
    if as_json:
        result_json(data(found))
    else:
        result(text(found))


def note(text: str) -> None:
    """Say something on stderr."""
    say(text)


@contextmanager
def log_shown(shown: bool) -> Iterator[None]:
    """Say on stderr, too, what the run's log says, if that is asked for."""
    if not shown:
        yield
        return
    logger, handler = logging.getLogger("cnntrain"), logging.StreamHandler(sys.stderr)
    handler.setFormatter(PlainLines())
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def new_file(
    given: Path | None, *, usual: str, force: bool, suffixes: Sequence[str] = (".png", ".svg")
) -> Path:
    """The file that a command is to write: the given one, else the usual one.

    Raises:
        UsageError: it has none of the suffixes, exists (without `force`), or has no folder.
    """
    path = given or Path(usual)
    if path.suffix.lower() not in suffixes:
        raise UsageError(
            f"{path} is no {' or '.join(suffixes)} file", remedy="end the name of --out in that"
        )
    refuse_existing(path, force=force and not path.is_dir())
    refuse_no_folder(path)
    return path


def refuse_existing(path: Path, *, force: bool, option: str = "--out") -> None:
    """Raise a UsageError where a file would be overwritten without --force."""
    if path.exists() and not force:
        raise UsageError(f"{path} already exists", remedy=f"give another {option}, or --force")


def refuse_no_folder(path: Path) -> None:
    """Raise a UsageError where the folder of a file to write does not exist."""
    if not path.parent.is_dir():
        raise UsageError(f"there is no folder {path.parent}", remedy="make it first")


def refuse_both(markdown: bool, as_json: bool) -> None:
    """Raise a UsageError where a command is to print two things."""
    if markdown and as_json:
        raise UsageError("--markdown and --json exclude each other", remedy="choose one")


def picture(made: Picture, file: Path, *, as_json: bool) -> None:
    """Save a picture, and print its file: with all its numbers, or beside a sentence on stderr."""
    from cnntrain.show.image_table import save

    save(made.figure, file)
    if as_json:
        result_json({"file": str(file), **made.facts})
        return
    if made.table:
        result(made.table)
    if made.text:
        say(made.text, keep="\n\t")
    result(str(file))
