"""What a run file names other files for: sections (`arch: archs/lenet5.yaml`), and weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnntrain.config import shipped
from cnntrain.config.overrides import COMMAND_LINE
from cnntrain.core.complaints import shown, value_at
from cnntrain.core.document import Document, KeyPath, read_document
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place, Problem, near_match

SECTIONS = ("arch", "vars", "compute", "data", "finetune", "train", "record")
"""The keys whose mapping may stand in a file of its own."""

WEIGHTS = ("finetune", "weights")
ARCHS = "archs/{}.yaml"
RENAME = (*WEIGHTS, "rename")


def read_sections(document: Document, *, file: Path, problems: list[Problem]) -> set[str]:
    """Put the contents of named files into the document; returns the sections that have none.

    Names are relative to the run file, `file`; `problems` takes up what is wrong.
    """
    named = [key for key in SECTIONS if isinstance(document.data.get(key), str)]
    failed = set(named)
    for key in named:
        with collected(problems, place=document.places.of((key,))):
            _read_section(document, (key,), file)
            failed.remove(key)
    return failed


def read_weights(
    document: Document, *, file: Path, problems: list[Problem]
) -> dict[str, dict[str, Any]]:
    """The `finetune` section under its name, its files' names made absolute; empty without one.

    The weights need not be there: only training reads them. The map of names is read in; otherwise
    as `read_sections`, but a name may also be relative to the working folder.
    """
    finetune = document.data.get("finetune")
    weights = finetune.get("weights") if isinstance(finetune, Mapping) else None
    if not isinstance(weights, Mapping):
        return {}  # the schema says what is wrong, if anything is
    if isinstance(weights.get("rename"), str):
        with collected(problems, place=document.places.of(RENAME)):
            _read_section(document, RENAME, file)
    found = {}
    for key in ("run", "file"):
        name = weights.get(key)
        if isinstance(name, str):
            folders = _folders(document.places.of((*WEIGHTS, key)), file)
            choices = [folder / Path(name).expanduser() for folder in folders]
            chosen = next((choice for choice in choices if choice.exists()), choices[0])
            found[key] = str(chosen.resolve())
    return {"finetune": {**finetune, "weights": {**weights, **found}}}


@contextmanager
def collected(problems: list[Problem], *, place: Place | None = None) -> Iterator[None]:
    """Add a block's ConfigError to `problems`, at `place` where it has no place of its own."""
    try:
        yield
    except ConfigError as error:
        problems += [replace(each, place=each.place or place) for each in error.problems]


def find_beside(name: str, *, place: Place | None, file: Path, is_network: bool = False) -> Path:
    """A file that the run file names: relative to it, or to the working folder if `-s` named it.

    Where there is none, networks that were perhaps meant are named if it `is_network`.

    Raises:
        ConfigError: there is no such file.
    """
    folders = _folders(place, file)
    if place is None or place.file != COMMAND_LINE:
        folders = folders[:1]
    there = [file for folder in folders if (file := folder / Path(name).expanduser()).is_file()]
    found = there[0] if there else shipped.find(name) if name.endswith(".yaml") else None
    if found is not None:
        return found
    called = ["this folder" if folder == Path() else str(folder) for folder in folders]
    where = "" if Path(name).expanduser().is_absolute() else f" in {' or '.join(called)}"
    message = f"there is no file '{name}'{where}"
    is_network = is_network or "archs" in Path(name).parent.parts
    remedy = _nearest_network(name, folders) if is_network else _nearest_file(name, folders)
    raise ConfigError(message, remedy=remedy, place=place)


def _folders(place: Place | None, file: Path) -> list[Path]:
    """Where a named file may be: beside the run file; what `-s` names rather in this folder."""
    from_command = place is not None and place.file == COMMAND_LINE
    return list(dict.fromkeys([Path(), file.parent] if from_command else [file.parent, Path()]))


def _names_a_file(value: Any) -> bool:
    return isinstance(value, str) and value.endswith((".yaml", ".yml"))


def _read_section(document: Document, path: KeyPath, file: Path) -> None:
    holder, key, place = value_at(document.data, path[:-1]), path[-1], document.places.of(path)
    name = holder[key]
    if not _names_a_file(name):
        message = f"'{key}' must be a mapping or the name of a .yaml file, not {shown(name)}"
        remedy = "write its keys below it"
        if key == "arch" and isinstance(name, str):
            remedy = shipped.network_remedy(name, form=ARCHS)
        raise ConfigError(message, remedy=remedy, place=place)
    found = find_beside(name, place=place, file=file, is_network=key == "arch")
    if found.exists() and file.exists() and found.samefile(file):
        message = f"'{key}' names the file that it stands in"
        raise ConfigError(message, remedy=f"name a file with the keys of {key}", place=place)
    section = read_document(found)
    if not isinstance(section.data, Mapping):
        other = f"names another file, {section.data}"
        what = other if _names_a_file(section.data) else "has no keys"
        message = f"'{key}' is read from {found}, which {what}"
        raise ConfigError(message, remedy=f"name a file with the keys of {key}", place=place)
    holder[key] = section.data
    document.places.graft(path, section.places)


def _nearest_network(name: str, folders: Sequence[Path]) -> str:
    """Architectures like it, shipped or in the user's folders, as `arch` names them."""
    parent = Path(name).parent
    own = [file.name for folder in folders for file in (folder / parent).glob("*.yaml")]
    others = [str(parent / file) for file in own]
    return shipped.network_remedy(name, form=ARCHS, others=others)


def _nearest_file(name: str, folders: Sequence[Path]) -> str:
    parent = Path(name).parent
    beside = [folder / parent for folder in (*folders, shipped.folder()) if folder is not None]
    suffix = Path(name).suffix
    stems = {file.stem for folder in beside for file in folder.glob(f"*{suffix}")}
    near = near_match(Path(name).stem, sorted(stems))
    return f"did you mean '{parent / near}{suffix}'?" if near else "check the path"
