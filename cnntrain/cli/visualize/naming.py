"""The names of files that commands write where no --out is given."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from cnntrain.cli import output

Split = Literal["train", "validation", "test"]


def file_to_write(  # noqa: PLR0913  # the flags of the commands
    given: Path | None,
    kind: str,
    run: Path,
    *,
    force: bool,
    layer: str | None = None,
    images: Sequence[str] | None = None,
    split: Split | None = None,
    also: Sequence[object] = (),
    overrides: Sequence[str] | None = None,
    suffixes: Sequence[str] = (".png", ".svg"),
) -> Path:
    """The file of --out; else named by what the command was asked for: `maps-conv2-5.png`.

    Args:
        given: on the command line.
        kind: of the picture.
        run: what is looked at.
        force: whether the file may exist already.
        layer: asked for.
        images: asked for: files, or numbers.
        split: asked for.
        also: what else was asked for; None is left out.
        overrides: changes of the run's settings.
        suffixes: one of which the file must have; the first is the usual one.

    Raises:
        UsageError: the file cannot be written. That it exists is said only if the run, the layer
            and the images are sound.
    """
    names = [Path(name).stem if Path(name).suffix else name for name in images or ()]
    words = [kind, layer, *names, *also, split]
    name = "-".join(re.sub(r"[^\w.]+", "_", str(word)) for word in words if word is not None)
    usual = f"{name[:120]}{suffixes[0]}"
    path = given or Path(usual)
    if path.is_file() and not force and path.suffix.lower() in suffixes:
        from cnntrain.explain.images import check_asked

        check_asked(run, layer=layer, images=images or [], split=split, overrides=overrides or [])
    return output.new_file(given, usual=usual, force=force, suffixes=suffixes)
