"""The user's own images: a table of files with labels or numbers."""

from __future__ import annotations

from typing import Literal

from cnntrain.core.kinds import Bits, ClassList, Delimiter, Encoding
from cnntrain.data import dataset
from cnntrain.data.label_table import LabelTable
from cnntrain.data.labelled import Reading, labelled
from cnntrain.data.on_disk import expanded
from cnntrain.data.splits import Splits


@dataset(
    "csv",
    channels="$channels",
    look="cnntrain.data.label_table:look_at_table",
    numbers="$number_columns",
)
def csv(  # noqa: PLR0913  # one keyword for each key of the run file
    *,
    file: str,
    root: str | None = None,
    suffix: str = "",
    path_column: str | None = None,
    label_column: str | None = None,
    split_column: str | None = None,
    group_column: str | None = None,
    delimiter: Delimiter | None = None,
    encoding: Encoding | None = None,
    number_columns: ClassList = (),
    label_columns: ClassList = (),
    label_separator: Delimiter | None = None,
    classes: ClassList | None = None,
    channels: Literal[1, 3] = 3,
    bits: Bits = "auto",
    unreadable: Literal["error", "skip"] = "error",
) -> Splits:
    """Images that a table lists: a line for each, with its path and its label.

    For regression `number_columns` are what is learnt. Several labels of an image are separated in
    its label column, or have a column each. Images that have numbers and labels, or a class, name
    the columns of both.

    A column `split` (train, val, test) says which images are for what; without it some are held
    out, see `data.split`. Images with one value in a column `group`, such as all of one patient,
    stay in one split.

    Args:
        file: the table, with the names of the columns in its first line.
        root: the folder that the paths start from; the table's own if null.
        suffix: added to each path, such as `.jpg` where the table has none.
        path_column: the column of the paths; if null, `path`, `file`, `filename`, `image` or `id`.
        label_column: the column of the classes; if null, `label`, `class`, `category` or `target`.
        split_column: the column of the splits; `split` if null, where there is one.
        group_column: the column of the groups; `group` if null, where there is one.
        delimiter: between the values; if null, the one of `,` `;` tab `|` that the first line has.
        encoding: of the text, such as `cp1252`; if null, UTF-8, or UTF-16 where it is marked.
        number_columns: the columns of numbers, such as [angle] or [x, y].
        label_columns: a column for each label, 1 where an image has it and 0 where not.
        label_separator: between several labels in the label column; an image may have none.
        classes: the class list, in this order; the labels in alphabetical order if null.
        channels: 3 for RGB, 1 for grey; all images are converted.
        bits: as for `image_folder`.
        unreadable: as for `image_folder`.
    """
    table = LabelTable(
        expanded(file, key="data.file"),
        delimiter,
        encoding,
        path_column,
        label_column,
        split_column,
        group_column,
        number_columns,
        label_columns,
        label_separator,
    )
    reading = Reading(
        classes,
        channels,
        bits,
        skips=unreadable == "skip",
        forms=table.forms,
        labels=label_columns,
        numbers=number_columns,
    )
    return labelled(table.rows(root, suffix), reading, notes=(), left_out=())
