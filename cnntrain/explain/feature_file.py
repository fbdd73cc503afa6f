"""Features written to a file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from cnntrain.core.atomic import disk_errors
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
    values, names, classes = found.values.numpy(), list(found.files), found.classes
    given = [classes[target] for target in found.targets.tolist()]
    with disk_errors(path):
        match path.suffix.lower():
            case ".parquet":
                import pyarrow  # an extra
                import pyarrow.parquet

                columns = {"file": names, "class": given, "label": found.targets.numpy()}
                table = pyarrow.table({**columns, "features": list(values)})
                table = table.replace_schema_metadata({"layer": found.layer})
                pyarrow.parquet.write_table(table, path)
            case ".npz":
                with path.open("wb") as file:
                    np.savez_compressed(
                        file,
                        features=values,
                        labels=found.targets.numpy(),
                        files=np.array(names),
                        classes=np.array(classes),
                        layer=np.array(found.layer),
                    )
            case _:
                with path.open("w", encoding="utf-8", newline="") as file:
                    writer = csv.writer(file, lineterminator="\n")
                    count = values.shape[1]
                    writer.writerow(["file", "class", *(f"feature{i + 1}" for i in range(count))])
                    for name, label, row in zip(names, given, values.tolist(), strict=True):
                        writer.writerow(
                            [harmless(name), harmless(label), *(f"{value:.7g}" for value in row)]
                        )
