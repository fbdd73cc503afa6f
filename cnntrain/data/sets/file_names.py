"""The user's own images: the class is part of each file's name."""

from __future__ import annotations

from typing import Literal

from cnntrain.core.kinds import Bits, ClassList, NamePattern
from cnntrain.data import dataset
from cnntrain.data.labelled import Reading, labelled
from cnntrain.data.named_files import named_files
from cnntrain.data.splits import Splits


@dataset("file_names", channels="$channels", look="cnntrain.data.named_files:look_at_names")
def file_names(
    *,
    root: str,
    pattern: NamePattern,
    classes: ClassList | None = None,
    channels: Literal[1, 3] = 3,
    bits: Bits = "auto",
    unreadable: Literal["error", "skip"] = "error",
) -> Splits:
    """Images whose names have the class in them: `cat_001.jpg`, `american_bulldog_12.jpg`.

    `CLASS_*` means: the class, `_`, anything. CLASS takes as much as it can, up to the last `_`
    here. Or the pattern is a regular expression for the whole name: with one group, or with groups
    that are called class, split and group: `(?P<split>[a-z]+)/(?P<class>[a-z]+)_.*`. With a `/` in
    it the pattern is that of the path below `root`. Files that do not fit are left out and listed.

    Args:
        root: the folder of the images; those in folders inside count, too.
        pattern: what the names look like.
        classes: the class list, in this order; the classes in alphabetical order if null.
        channels: 3 for RGB, 1 for grey; all images are converted.
        bits: as for `image_folder`.
        unreadable: as for `image_folder`.
    """
    rows, left_out = named_files(root, pattern)
    reading = Reading(classes, channels, bits, skips=unreadable == "skip")
    return labelled(rows, reading, notes=(), left_out=left_out)
