"""Features written to a file."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from cnntrain.core.atomic import disk_errors
from cnntrain.model.taps import Features


def write_features(found: Features, path: Path) -> None:
    """Write features as `.npz` (features, labels, files, classes, layer), or a row for each image.

    The rows of a `.csv` are file, class and one column for each feature; those of a `.parquet`
    file, class, label and a list.

    Raises:
        DiskError: the file cannot be written.
    """
    with disk_errors(path):
        if path.suffix.lower() == ".parquet":
            import pyarrow  # an extra
            import pyarrow.parquet

            columns = {
                "file": list(found.files),
                "class": [found.classes[target] for target in found.targets.tolist()],
                "label": found.targets.numpy(),
                "features": list(found.values.numpy()),
            }
            table = pyarrow.table(columns).replace_schema_metadata({"layer": found.layer})
            pyarrow.parquet.write_table(table, path)
            return
        if path.suffix.lower() == ".npz":
            with path.open("wb") as file:
                np.savez_compressed(
                    file,
                    features=found.values.numpy(),
                    labels=found.targets.numpy(),
                    files=np.array(found.files),
                    classes=np.array(found.classes),
                    layer=np.array(found.layer),
                )
            return
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        count = found.values.shape[1]
        writer.writerow(["file", "class", *(f"feature{i + 1}" for i in range(count))])
        for name, target, row in zip(
            found.files, found.targets.tolist(), found.values.tolist(), strict=True
        ):
            writer.writerow([name, found.classes[target], *(f"{value:.7g}" for value in row)])
        path.write_text(text.getvalue(), encoding="utf-8")
