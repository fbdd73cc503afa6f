"""Tables of image files with their labels or numbers. Imports no torch."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from cnntrain.core.errors import DataError
from cnntrain.core.problems import near_match, suggestion
from cnntrain.core.target_forms import TargetForm
from cnntrain.data.decode import SUFFIXES
from cnntrain.data.labelled_files import LabelledFile, split_name, stated
from cnntrain.data.metadata import Stated
from cnntrain.data.on_disk import expanded

USUAL = {
    "path": ("path", "file", "filename", "file_name", "filepath", "image", "image_path", "id"),
    "label": ("label", "class", "category", "target", "species"),
    "split": ("split",),
    "group": ("group",),
}
"""What the columns of a table may be called, in small or capital letters."""


def look_at_table(parameters: Mapping[str, Any]) -> Stated:
    """What is known of a `csv`; raises DataError where the table cannot be used."""
    own = [each.name for each in fields(LabelTable) if each.name != "file"]
    given = {key: parameters[key] for key in own if parameters.get(key) is not None}
    table = LabelTable(expanded(parameters["file"], key="data.file"), **given)
    rows = table.rows(parameters.get("root"), parameters.get("suffix") or "")
    found = stated(rows, parameters, names=table.label_columns, form=table.form)
    if table.number_columns:
        labels = found.classes if len(table.forms) > 1 else ()
        found = replace(found, classes=(*(labels or ()), *table.number_columns))
    return replace(found, forms=table.forms)


@dataclass(frozen=True)
class LabelTable:
    """A file of values separated by `,`, `;`, tabs or `|`; the first line names the columns.

    A None is found: the encoding by the mark at the beginning (else UTF-8), the delimiter by the
    first line, the columns by their usual names. Without number and label columns, and without a
    separator of labels, an image has the one label of its label column. With number columns it has
    labels, or a class, only where their columns are named.
    """

    file: Path
    delimiter: str | None = None
    encoding: str | None = None
    path_column: str | None = None
    label_column: str | None = None
    split_column: str | None = None
    group_column: str | None = None
    number_columns: tuple[str, ...] = ()
    label_columns: tuple[str, ...] = ()
    label_separator: str | None = None

    @property
    def form(self) -> TargetForm:
        """What its targets are."""
        return self.forms[0] if len(self.forms) == 1 else "several"

    @property
    def forms(self) -> tuple[TargetForm, ...]:
        """The forms that they have, numbers last."""
        if self.label_columns or self.label_separator is not None:
            labels: tuple[TargetForm, ...] = ("labels",)
        else:
            labels = ("classes",) if self.label_column or not self.number_columns else ()
        return (*labels, "numbers") if self.number_columns else labels

    def rows(self, root: str | None = None, suffix: str = "") -> list[LabelledFile]:
        """The rows, empty lines passed over.

        Args:
            root: the folder that the paths start from; the table's if None.
            suffix: added to each path.

        Raises:
            DataError: the table cannot be read, lacks a column or a label, or names a file that is
                not there, with its line.
        """
        base = self.file.parent if root is None else expanded(root, key="data.root")
        if not base.is_dir():
            raise DataError(
                f"there is no folder {base} for the paths to start from",
                remedy="correct data.root, or let them start from the table: -s data.root=null",
            )
        lines = self._lines(base)
        self._refuse_contradictions()
        header = next(lines, (0, []))[1]
        columns, values_at = self._columns(header), self._value_columns(header)
        found: list[LabelledFile] = []
        missing: list[tuple[str, str]] = []
        for number, cells in lines:
            where = f"{self.file}:{number}"
            values = {
                kind: cells[at].strip() if at < len(cells) else "" for kind, at in columns.items()
            }
            for kind in ("path", "label"):  # of several labels an image may have none
                is_free = kind == "label" and "labels" in self.forms
                if kind in values and not values[kind] and not is_free:
                    message = f"{where}: there is no {kind}"
                    raise DataError(message, remedy="fill it in, or remove the line")
            path = _there(base, values["path"] + suffix)
            if not path.is_file():
                missing.append((where, values["path"] + suffix))
            split = split_name(values["split"], where=where) if "split" in values else "train"
            row = LabelledFile(path, values.get("label", ""), where, split, values.get("group", ""))
            found.append(self._with_targets(row, cells, values_at))
        if missing:
            raise self._missing(missing, base)
        if not found:
            raise DataError(f"{self.file} has no rows", remedy="add a line for each image")
        return _without_repeats(found)

    def _lines(self, base: Path) -> Iterator[tuple[int, list[str]]]:
        """The number of each line that is not empty, and its cells."""
        text = self._text(base)
        first = next((line for line in text.splitlines() if line.strip()), "")
        delimiter = self.delimiter or max(",;\t|", key=first.count)
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    yield reader.line_num, cells
        except csv.Error as error:
            message = f"{self.file}:{reader.line_num}: {error}"
            raise DataError(message, remedy="close the quotes, or correct the line") from error

    def _text(self, base: Path) -> str:
        if not self.file.is_file():
            beside = [each.name for each in self.file.parent.glob("*") if each.is_file()]
            near = near_match(self.file.name, beside)
            meant = self.file.with_name(near) if near else base / self.file
            is_there = near or meant.is_file()
            remedy = f"did you mean -s data.file={meant}?" if is_there else "check `data.file`"
            raise DataError(f"there is no file {self.file}", remedy=remedy)
        content = self.file.read_bytes()
        marked = content.startswith((b"\xff\xfe", b"\xfe\xff"))
        encoding = self.encoding or ("utf-16" if marked else "utf-8-sig")
        try:
            return content.decode(encoding)
        except UnicodeError as error:
            at = error.start if isinstance(error, UnicodeDecodeError) else 0
            line = content.count(b"\n", 0, at) + 1
            raise DataError(
                f"{self.file}:{line}: this is not {encoding.removesuffix('-sig').upper()} text",
                remedy="say how it was saved: -s data.encoding=cp1252 (Windows), latin-1, ...",
            ) from error

    def _columns(self, header: Sequence[str]) -> dict[str, int]:
        """The position of each kind of column that there is."""
        names = [name.strip() for name in header]
        found: dict[str, int] = {}
        for kind, usual in USUAL.items():
            if kind == "label" and (self.label_columns or self.forms == ("numbers",)):
                continue
            given = getattr(self, f"{kind}_column")
            if given is not None:
                found[kind] = self._place(given, names, key=f"{kind}_column")
                continue
            small = [name.casefold() for name in names]
            at = next((small.index(name) for name in usual if name in small), None)
            if at is not None:
                found[kind] = at
            elif kind in ("path", "label"):
                shown = ", ".join(names) or "none"
                raise DataError(
                    f"{self.file}:1: no column is called {kind} (or {', '.join(usual[1:])}); the "
                    f"columns are: {shown}",
                    remedy=f"say which it is: -s data.{kind}_column=NAME (the first line has the "
                    "names)",
                )
        return found

    def _place(self, name: str, names: Sequence[str], *, key: str) -> int:
        """The position of a column that the run file names."""
        if name not in names:
            message = f"{self.file}:1: there is no column '{name}' (data.{key})"
            raise DataError(message, remedy=suggestion(name, names))
        return names.index(name)

    def _value_columns(self, header: Sequence[str]) -> list[int]:
        """The positions of the columns of numbers, then of those of labels."""
        names = [name.strip() for name in header]
        keys = ("number_columns", "label_columns")
        return [self._place(name, names, key=key) for key in keys for name in getattr(self, key)]

    def _with_targets(
        self, row: LabelledFile, cells: Sequence[str], columns: Sequence[int]
    ) -> LabelledFile:
        """The row with its numbers and its labels."""
        texts = [cells[at].strip() if at < len(cells) else "" for at in columns]
        pairs = zip(self.number_columns, texts, strict=False)
        row = replace(row, numbers=tuple(_number(t, n, row.where) for n, t in pairs))
        if self.label_columns:
            pairs = zip(self.label_columns, texts[len(self.number_columns) :], strict=True)
            return replace(row, labels=tuple(n for n, t in pairs if _is_there(t, n, row.where)))
        if self.label_separator is None:
            return row
        parts = (part.strip() for part in row.label.split(self.label_separator))
        return replace(row, label="", labels=tuple(dict.fromkeys(part for part in parts if part)))

    def _refuse_contradictions(self) -> None:
        """Of the keys that say which labels there are, only one can be obeyed."""
        keys = ("label_columns", "label_separator", "label_column")
        given = [key for key in keys if getattr(self, key)]
        given = [] if given == ["label_separator", "label_column"] else given
        for other in given[1:]:
            message = f"data.{given[0]} and data.{other} both say what is learnt"
            raise DataError(message, remedy=f"remove one of the two: -s data.{other}=null")

    def _missing(self, missing: Sequence[tuple[str, str]], base: Path) -> DataError:
        where, name = missing[0]
        more = f" (and {len(missing) - 1:,} lines more)" if len(missing) > 1 else ""
        remedy = "correct the path, or say where paths start: -s data.root=FOLDER"
        ends = [suffix for suffix in sorted(SUFFIXES) if (base / (name + suffix)).is_file()]
        inside = [each for each in sorted(base.iterdir()) if (each / name).is_file()]
        if ends:
            remedy = f"add the suffix: -s data.suffix={ends[0]}"
        elif inside:
            remedy = f"say where paths start: -s data.root={inside[0]}"
        return DataError(f"{where}: there is no file {base / name}{more}", remedy=remedy)


def _there(base: Path, name: str) -> Path:
    """The file that a table names; `\\` is taken for `/` where that is a file."""
    path = base / Path(name).expanduser()
    if "\\" in name and not path.is_file():
        path = base / name.replace("\\", "/")
    return path


def _without_repeats(rows: Sequence[LabelledFile]) -> list[LabelledFile]:
    """Each file once; a file with two labels, or in two splits, is an error."""
    first: dict[Path, LabelledFile] = {}
    for row in rows:
        other = first.setdefault(row.path, row)
        for key in ("label", "split", "labels", "numbers"):
            ours, theirs = (_said(getattr(each, key)) for each in (row, other))
            if ours != theirs:
                verb = "are" if key in ("labels", "numbers") else "is"
                raise DataError(
                    f"{row.where}: the {key} of {row.path} {verb} '{ours}', but '{theirs}' in "
                    f"{other.where}",
                    remedy="remove one of the two lines",
                )
    return list(first.values())


def _said(value: str | tuple[str, ...] | tuple[float, ...]) -> str:
    return value if isinstance(value, str) else ", ".join(map(str, value))


def _number(text: str, column: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        message = f"{where}: '{text}' in the column '{column}' is not a number"
        raise DataError(message, remedy="write it as 12.5, or remove the line")
    return value


def _is_there(text: str, column: str, where: str) -> bool:
    if text not in ("0", "1"):
        message = f"{where}: '{text}' in the column '{column}' is neither 0 nor 1"
        raise DataError(message, remedy="write 1 where the image has the label, else 0")
    return text == "1"
