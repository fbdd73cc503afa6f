"""The run files that come with cnntrain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from cnntrain.config.arch_header import read_header
from cnntrain.config.nearest import did_you_mean, folded, nearest
from cnntrain.core.errors import UsageError
from cnntrain.core.problems import near_match


def folder() -> Path | None:
    """Where they are: in an installed package `cnntrain/configs`, in a checkout `configs`."""
    package = Path(__file__).parents[1]
    choices = [package / "configs", package.parent / "configs"]
    return next((choice for choice in choices if choice.is_dir()), None)


def files(*, among: str = "") -> dict[str, Path]:
    """They, by names such as `lenet5`, in alphabetical order; among `archs/`: `archs/lenet5`."""
    here = folder()
    found = sorted((here / among).glob("*.yaml"), key=lambda file: file.stem) if here else []
    return {f"{among}{file.stem}": file for file in found}


def names() -> list[str]:
    """The names of the run files."""
    return list(files())


def with_weights() -> list[str]:
    """The names of those that name weights, which other commands can use."""
    return [name for name, file in files().items() if "\nfinetune:" in file.read_text("utf-8")]


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
        raise UsageError(f"there is no network '{name}'", remedy=network_remedy(name))
    return found


def network_remedy(name: str, *, form: str = "", others: Iterable[str] = ()) -> str:
    """What to do about a network that is not there: the nearest ones, and where all are listed.

    Args:
        name: the unknown one.
        form: how architectures are named, such as `archs/{}.yaml`. Without it as `name` is: below
            `archs/`, or else as run files are, which then are named too.
        others: names besides those of the shipped files.
    """
    form, stems = form or "archs/{}" * name.startswith("archs/"), dict(_known_archs())
    options = {form.format(stem): known for stem, known in stems.items()} if form else stems
    options |= dict.fromkeys([*others, *(() if form else names())], ())
    return did_you_mean(nearest(name, options), kind="archs")


def _known_archs() -> list[tuple[str, tuple[str, ...]]]:
    """The architectures, each with what torchvision or timm calls it, or its family."""
    archs = files(among="archs/").values()
    return [(file.stem, (read_header(file).weights.partition("_")[2],)) for file in archs]


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
    files_meant = nearest(name, dict.fromkeys(names(), ()))
    is_spelt_otherwise = bool(files_meant) and folded(files_meant[0]) == folded(name)
    if arch := None if is_spelt_otherwise else architecture_called(name):
        message = f"'{name}' is an architecture, not a run file"
        remedy = f"name it in one as `arch: archs/{arch}.yaml`, or look at it"
        raise UsageError(message, remedy=f"{remedy}: `cnntrain summary archs/{arch}`")
    message = f"there is no run file '{name}', nor a shipped one of that name"
    if name.endswith("/"):
        message, files_meant = f"there is no folder {name}", []
    folder_meant = _near_folder(Path(name))
    if folder_meant and files_meant:  # the nearer of the two
        nearer = near_match(Path(name).stem, [files_meant[0], folder_meant.name])
        folder_meant = folder_meant if nearer == folder_meant.name else None
    is_network = name.startswith("archs/")
    remedy = network_remedy(name) if is_network else did_you_mean(files_meant, kind="configs")
    if name.endswith("/"):
        remedy = "check the path; `cnntrain fit FOLDER` takes one that has a folder for each class"
    raise UsageError(message, remedy=f"did you mean '{folder_meant}'?" if folder_meant else remedy)


def architecture_called(name: str) -> str | None:
    """The shipped architecture of that name, however it is written; None where there is none."""
    if Path(name).parent not in (Path(), Path("archs")):
        return None
    found = nearest(name, dict(_known_archs()))
    return next((arch for arch in found if folded(arch) == folded(name)), None)


def _near_folder(path: Path) -> Path | None:
    """The folder beside that was probably meant."""
    if not path.parent.is_dir():
        return None
    near = near_match(path.name, [each.name for each in path.parent.iterdir() if each.is_dir()])
    return None if near is None else path.with_name(near)
