"""Images of the Hugging Face library `datasets`, from a folder or from the hub."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from cnntrain.core.atomic import disk_errors
from cnntrain.core.cache_folder import cache_folder
from cnntrain.core.errors import DataError
from cnntrain.core.kinds import Bits, ClassList
from cnntrain.data import dataset
from cnntrain.data.hub import HubData, columns_of, files_of, open_hub, split_names
from cnntrain.data.labelled import Reading, labelled
from cnntrain.data.labelled_files import LabelledFile
from cnntrain.data.splits import Splits


@dataset("huggingface", classes="$classes", channels="$channels")
def huggingface(  # noqa: PLR0913  # one keyword for each key of the run file
    *,
    path: str,
    subset: str | None = None,
    revision: str | None = None,
    download: bool = False,
    streaming: bool = False,
    image_column: str | None = None,
    label_column: str | None = None,
    train_split: str | None = None,
    validation_split: str | Literal[False] | None = None,
    test_split: str | Literal[False] | None = None,
    classes: ClassList | None = None,
    channels: Literal[1, 3] = 3,
    bits: Bits = "auto",
    unreadable: Literal["error", "skip"] = "error",
) -> Splits:
    """A data set of the library `datasets` (`pip install 'cnntrain[huggingface]'`).

    The images are kept as files, undecoded, in cnntrain's cache folder: written once, while no more
    than one is in memory; images that are files already are read where they lie. With `streaming`
    they come one after another, without the library's own copy of the data set; training begins
    when all are there.

    Args:
        path: a folder (from `save_to_disk`, or of Parquet, Arrow or image files), or `owner/name`
            on the hub.
        subset: the data set's configuration, where it has several.
        revision: the version on the hub: a commit, a tag or a branch.
        download: fetch the data set if the library does not have it in its cache.
        streaming: take the examples one after another as they come.
        image_column: the column of the images; the one of that type if null.
        label_column: the column of the classes; if null, the one of type ClassLabel, or `label`.
        train_split: the split to train on; if null, `train`, or the only one.
        validation_split: if null, `validation`, `valid` or `val` if it exists; false for none.
        test_split: if null, `test` if it exists; false for none.
        classes: the class list, in this order; if null, the data set's own.
        channels: 3 for RGB, 1 for grey; all images are converted.
        bits: as for `image_folder`.
        unreadable: as for `image_folder`.
    """
    asked = HubData(path, subset, revision, download, streaming)
    found = open_hub(asked)
    given = {"train": train_split, "validation": validation_split, "test": test_split}
    rows: list[LabelledFile] = []
    known: tuple[str, ...] | None = classes
    for split, name in split_names(found, given).items():
        examples = found[name]
        if examples.features is None:
            raise DataError(
                f"{path} does not say which columns it has", remedy="set data.streaming: false"
            )
        image, label = columns_of(examples.features, image=image_column, label=label_column)
        names = getattr(examples.features[label], "names", None)
        known = known or (None if names is None else tuple(names))
        mark = repr(
            (Path(path).absolute() if Path(path).exists() else path, subset, revision, name)
        )
        folder = hashlib.sha256(mark.encode()).hexdigest()[:16]
        with disk_errors(cache_folder()):
            rows += files_of(examples, split=split, folder=folder, image=image, label=label)
    if known is not None and classes is None:
        used = {row.label for row in rows if row.split == "train"}
        known = tuple(label for label in known if label in used) or known
    reading = Reading(known, channels, bits, skips=unreadable == "skip")
    return labelled(rows, reading, notes=(), left_out=())
