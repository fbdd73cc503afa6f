"""Image files whose names have the class in them. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cnntrain.core.errors import DataError
from cnntrain.core.patterns import name_expression
from cnntrain.data.labelled_files import LabelledFile, split_name, stated
from cnntrain.data.left_out import Cause, LeftOut
from cnntrain.data.metadata import Stated
from cnntrain.data.misplaced import no_such_folder
from cnntrain.data.on_disk import expanded, list_images

_NO_MATCH = Cause("names that do not fit data.pattern", "change the pattern, or move them away")


def look_at_names(parameters: Mapping[str, Any]) -> Stated:
    """What is known of a `file_names`; raises DataError where no name fits."""
    return stated(named_files(parameters["root"], parameters["pattern"])[0], parameters)


def named_files(root: str, pattern: str) -> tuple[list[LabelledFile], tuple[LeftOut, ...]]:
    """The images below a folder whose names fit, and those that are left out.

    Raises:
        DataError: the folder is not there, or no name fits.
    """
    base = expanded(root, key="data.root")
    if not base.is_dir():
        raise no_such_folder(base, key="data.root")
    expression = name_expression(pattern)
    listing = list_images(base)
    rows: list[LabelledFile] = []
    others: list[LeftOut] = []
    for path in listing.images:
        name = path.relative_to(base).as_posix() if "/" in pattern else path.name
        match = expression.fullmatch(name)
        if match is None:
            others.append(LeftOut.of(path, _NO_MATCH))
            continue
        parts = match.groupdict()
        label = parts.get("class") or match[1]
        split = split_name(parts["split"], where=str(path)) if parts.get("split") else "train"
        rows.append(LabelledFile(path, label, str(path), split, parts.get("group") or ""))
    if not rows:
        example = listing.images[0].name if listing.images else "there are no images"
        raise DataError(
            f"no name in {base} fits data.pattern '{pattern}' ({example})",
            remedy="write CLASS for the class and * for the rest: CLASS_*; or a regular expression",
        )
    return rows, (*listing.left_out, *others)
