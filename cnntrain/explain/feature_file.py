"""Features written to a file."""

from __future__ import annotations

import csv
import io
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from cnntrain.core.atomic import write_output
from cnntrain.model.taps import Features
from cnntrain.show.words import harmless


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

    columns = {"file": list(found.files), "class": _labels(found), "label": found.targets.numpy()}
    table = pyarrow.table({**columns, "features": list(found.values.numpy())})
    table = table.replace_schema_metadata({"layer": found.layer})
    pyarrow.parquet.write_table(table, file)


def _csv(found: Features, file: BinaryIO) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    count = found.values.shape[1]
    writer.writerow(["file", "class", *(f"feature{i + 1}" for i in range(count))])
    for name, label, row in zip(found.files, _labels(found), found.values.tolist(), strict=True):
        writer.writerow([harmless(name), harmless(label), *(f"{value:.7g}" for value in row)])
    text.detach()  # the file stays open


def _labels(found: Features) -> list[str]:
    return [found.classes[target] for target in found.targets.tolist()]
