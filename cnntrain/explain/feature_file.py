"""Features written to a file."""

from __future__ import annotations

import io
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cnntrain.core.atomic import write_output
from cnntrain.core.escapes import escaped
from cnntrain.model.taps import Features
from cnntrain.show.tables import write_csv


def write_features(found: Features, path: Path) -> None:
    """Write features as `.npz` (features, labels, files, classes, layer), or a row for each image.

    The rows of a `.csv` are file, class and one column for each feature; those of a `.parquet`
    file, class, label and a list. In a `.csv` a name that a spreadsheet would take for a formula
    (it begins with = + - @) stands behind an apostrophe.

    Raises:
        DiskError: the file cannot be written.
    """
    write = {".parquet": _parquet, ".npz": _npz}.get(path.suffix.lower(), _csv)
    write_output(path, partial(write, found))


def _npz(found: Features, file: BinaryIO) -> None:
    np.savez_compressed(
        file,
        features=found.values.numpy(),
        labels=found.targets.numpy(),
        files=np.array(found.files),
        classes=np.array(found.classes),
        layer=np.array(found.layer),
    )


def _parquet(found: Features, file: BinaryIO) -> None:
    import pyarrow  # an extra
    import pyarrow.parquet

    columns = {
        "file": [*map(escaped, found.files)],
        "class": list(found.labels),
        "label": list(found.targets.numpy()),
    }
    table = pyarrow.table({**columns, "features": list(found.values.numpy())})
    table = table.replace_schema_metadata({"layer": found.layer})
    pyarrow.parquet.write_table(table, file)


def _csv(found: Features, file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    count = found.values.shape[1]
    write_csv([["file", "class", *(f"feature{i + 1}" for i in range(count))]], text)
    images = zip(found.files, found.labels, found.values.tolist(), strict=True)
    write_csv(([name, label, *(f"{v:.7g}" for v in row)] for name, label, row in images), text)
    text.detach()  # the file stays open
