"""The run files that come with cnntrain."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cnntrain.core.errors import UsageError
from cnntrain.core.problems import near_match, suggestion


def folder() -> Path | None:
    """Where they are: in an installed package `cnntrain/configs`, in a checkout `configs`."""
    package = Path(__file__).parents[1]
    choices = [package / "configs", package.parent / "configs"]
    return next((choice for choice in choices if choice.is_dir()), None)


def names(*, among: str = "") -> list[str]:
    """Their names, such as `lenet5`, in alphabetical order; among `archs/`: `archs/lenet5`."""
    here = folder()
    return sorted(f"{among}{file.stem}" for file in (here / among).glob("*.yaml")) if here else []


def with_weights() -> list[str]:
    """The names of those that name weights, which other commands can use."""
    files = {name: find(name) for name in names()}
    return [n for n, file in files.items() if file and "\nfinetune:" in file.read_text("utf-8")]


def find(name: str) -> Path | None:
    """The shipped file of that name, with or without `.yaml`; also `archs/lenet5.yaml`."""
    here = folder()
    if here is None or Path(name).is_absolute() or ".." in Path(name).parts:
        return None
    file = here / (name if name.endswith(".yaml") else f"{name}.yaml")
    return file if file.is_file() else None


def _given_or_shipped(name: str, among: Sequence[str]) -> Path | None:
    """`lenet5` is `./lenet5`, else `./lenet5.yaml`, else the shipped one."""
    given = [file for file in (Path(name), Path(f"{name}.yaml")) if file.is_file()]
    return next(filter(None, [*given, *(find(f"{place}{name}") for place in among)]), None)


def find_network(name: str, *, among: Sequence[str] = ("", "archs/")) -> Path:
    """A path, else the shipped file of that name: a run file, or else an architecture.

    Args:
        name: with or without `.yaml`.
        among: where shipped files are looked for, in this order.

    Raises:
        UsageError: there is none.
    """
    found = _given_or_shipped(name, among)
    if found is None:
        here = folder()
        files = here.rglob("*.yaml") if here else ()
        near = near_match(Path(name).stem, [file.stem for file in files])
        remedy = f"did you mean '{near}'?" if near else "`cnntrain list configs` shows some"
        raise UsageError(f"there is no network '{name}'", remedy=remedy)
    return found


def resolve(name: str) -> Path:
    """The run file that a user means: a path, else the name of a shipped one.

    Raises:
        UsageError: there is none.
    """
    found = _given_or_shipped(name, [""])
    if found is not None:
        return found
    if Path(name).is_dir():
        own = (Path(name, "config.yaml"), Path(name, "latest", "config.yaml"))
        there = [file for file in own if file.is_file()]
        remedy = (
            f"that of the run is {there[0]}"
            if there
            else "give a file; `cnntrain fit FOLDER` writes one"
        )
        raise UsageError(f"{name} is a folder, not a run file", remedy=remedy)
    message = f"there is no run file '{name}', nor a shipped one of that name"
    folder_meant = _near_folder(Path(name))
    file_meant = near_match(Path(name).stem, names())
    if folder_meant and file_meant:  # the nearer of the two
        nearer = near_match(Path(name).stem, [file_meant, folder_meant.name])
        folder_meant = folder_meant if nearer == folder_meant.name else None
    remedy = suggestion(Path(name).stem, names())
    raise UsageError(message, remedy=f"did you mean '{folder_meant}'?" if folder_meant else remedy)


def _near_folder(path: Path) -> Path | None:
    """The folder beside that was probably meant."""
    if not path.parent.is_dir():
        return None
    near = near_match(path.name, [each.name for each in path.parent.iterdir() if each.is_dir()])
    return None if near is None else path.with_name(near)
