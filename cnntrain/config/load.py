"""Loading a run file: all that is wrong with it is told at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cnntrain.config.overrides import Override, apply_override, parse_override
from cnntrain.config.rules import broken_rules
from cnntrain.config.schema import RunConfig
from cnntrain.config.sections import find_beside, read_sections, read_weights
from cnntrain.config.train_section import TrainSection
from cnntrain.config.validate import validate
from cnntrain.core.choices import CHOICES
from cnntrain.core.complaints import Complaint, shown
from cnntrain.core.document import Document, KeyPath, parse_document, read_document
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Place, Problem

ARCH_AT: KeyPath = ("arch",)
TRANSFORMS_AT: KeyPath = ("data", "transforms")
FINETUNE_AT: KeyPath = ("finetune",)


@dataclass(frozen=True)
class Loaded:
    """A run file that is valid, but for its network.

    Args:
        config: every value, defaults filled in; names of files are absolute paths.
        document: what was given, with places: the run file with its sections and overrides in it.
        file: the run file.
        files: all files that were read: the run file and those of its sections.
        follows_weights: `data.transforms` that nobody gave are those of `finetune.weights`.
    """

    config: RunConfig
    document: Document
    file: Path
    files: tuple[Path, ...]
    follows_weights: bool = False

    @property
    def train(self) -> TrainSection:
        """The `train` section.

        Raises:
            ConfigError: there is none; a file without one lends weights to eval, predict, export.
        """
        if self.config.train is None:
            message = "there is no `train` section, so this file cannot train a network"
            remedy = "add `train:` with epochs and an optimizer"
            raise self.error((), message, remedy)
        return self.config.train

    def problem(self, path: KeyPath, message: str, remedy: str, *, key: bool = False) -> Problem:
        """A problem with the value (or key) at `path`, such as `("train", "epochs")`."""
        return self.document.problem(Complaint(tuple(path), message, remedy, at_key=key))

    def error(self, path: KeyPath, message: str, remedy: str) -> ConfigError:
        """An error with this problem alone."""
        return ConfigError.of([self.problem(path, message, remedy)])

    def is_doubtful(self, path: KeyPath, problems: Sequence[Problem]) -> bool:
        """Whether a problem is about something at `path` or below it."""
        return _concerns(path, problems, self.document)

    def is_given(self, path: KeyPath) -> bool:
        """Whether the value is written down, not a default."""
        return tuple(path) in self.document.places.values


def load(file: Path | str, overrides: Sequence[str] = ()) -> Loaded:
    """Read and check a run file, all but its network, without importing torch.

    Args:
        file: the run file; see `shipped.resolve` for names of shipped ones.
        overrides: what follows `-s` on the command line, such as `train.epochs=3`.

    Raises:
        ConfigError: everything that is wrong, each with its place.
    """
    return sound(*try_to_load(file, overrides))


def try_to_load(
    file: Path | str, overrides: Sequence[str] = ()
) -> tuple[Loaded | None, list[Problem]]:
    """The run file, mended where something is wrong with it, and what that is.

    With problems, the result is good for nothing but to find more of them; it is None where too
    much is wrong for that.

    Raises:
        ConfigError: the file cannot be read, or is not YAML.
    """
    return try_to_load_document(read_document(Path(file)), file=Path(file), overrides=overrides)


def load_text(text: str, *, file: Path | str, overrides: Sequence[str] = ()) -> Loaded:
    """As `load`, for the text of a run file, such as the one that a checkpoint holds.

    Args:
        text: the contents.
        file: what to call it, and where names of files in it start from; need not exist.
        overrides: see `load`.
    """
    document = parse_document(text, name=str(file))
    return sound(*try_to_load_document(document, file=Path(file), overrides=overrides))


def sound(loaded: Loaded | None, problems: Sequence[Problem]) -> Loaded:
    """What `try_to_load` gave, if nothing is wrong with it; else a ConfigError."""
    if problems or loaded is None:
        raise ConfigError.of(problems)
    return loaded


def try_to_load_document(
    document: Document, *, file: Path, overrides: Sequence[str]
) -> tuple[Loaded | None, list[Problem]]:
    """As `try_to_load`, for what has been read already; overrides are put into the document."""
    if not isinstance(document.data, Mapping):
        raise ConfigError(
            f"a run file must be a mapping (key: value), not {shown(document.data)}",
            remedy="see `cnntrain new` for one to start from",
            place=document.places.of(()),
        )
    if "layers" in document.data and "arch" not in document.data:
        raise ConfigError(
            "this is an architecture, not a run file",
            remedy=f"name it in one as `arch: {file}`, or look at it: `cnntrain summary {file}`",
            place=document.places.of(("layers",), key=True),
        )
    problems: list[Problem] = []
    given = _parse(overrides, problems)
    _apply([o for o in given if len(o.path) == 1], document, problems)
    failed, files = read_sections(document, file=file, problems=problems)
    deeper = [o for o in given if len(o.path) > 1 and o.path[0] not in failed]
    _apply(deeper, document, problems)
    before = len(problems)
    tree = {**document.data, **_plugins(document, file, problems)}
    has_plugins = len(problems) == before  # else what they register would look unknown
    finetune, maps = read_weights(document, file=file, problems=problems)
    tree |= finetune
    skip = [(key,) for key in failed]
    validated = validate(tree, name=file.stem.strip("<>"), skip=skip)
    problems += [document.problem(complaint) for complaint in validated.complaints]
    if validated.config is None:
        return None, problems
    sections = (TRANSFORMS_AT, FINETUNE_AT)
    doubtful = [path for path in sections if _concerns(path, problems, document)]
    for problem in broken_rules(validated.config, document):
        follows = any(name in problem.message for name in validated.mended)
        if not follows and not any(_concerns(path, [problem], document) for path in doubtful):
            problems.append(problem)
    loaded = Loaded(validated.config, document, file, (file, *files, *maps))
    return (loaded if has_plugins and not failed else None), problems


def _concerns(path: KeyPath, problems: Sequence[Problem], document: Document) -> bool:
    """Whether a problem is about something at `path` or below it: what follows is in doubt."""
    under = [p for p in (*document.places.values, *document.places.keys) if p[: len(path)] == path]
    places = {document.places.of(p, key=key) for p in under for key in (False, True)}
    return any(problem.place in places for problem in problems)


def _parse(overrides: Sequence[str], problems: list[Problem]) -> list[Override]:
    found = []
    for number, text in enumerate(overrides, start=1):
        try:
            found.append(parse_override(text, number=number))
        except ConfigError as error:
            problems += error.problems
    return found


def _apply(overrides: Sequence[Override], document: Document, problems: list[Problem]) -> None:
    for override in overrides:
        try:
            apply_override(document, override)
        except ConfigError as error:
            problems += error.problems


def _plugins(document: Document, file: Path, problems: list[Problem]) -> dict[str, list[str]]:
    """The plugins' absolute paths, after adding what they register to the catalogues."""
    names = document.data.get("plugins")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return {}  # the schema tells what is wrong
    paths = []
    for index, name in enumerate(names):
        place = document.places.of(("plugins", index))
        try:
            found = find_beside(name, place=place, file=file).resolve()
            paths.append(str(found))
            _add_plugin(found, place)
        except ConfigError as error:
            problems += [dataclasses.replace(p, place=p.place or place) for p in error.problems]
    return {"plugins": paths}


def _add_plugin(file: Path, place: Place | None) -> None:
    registered = [entry for each in CHOICES.values() for entry in each.add_plugin(file)]
    if not registered:
        decorators = ", ".join(f"@{each.decorator}" for each in CHOICES.values())
        message = f"the plugin {file.name} registers nothing"
        remedy = f'write one of {decorators} above a function or class, as in @layer("name")'
        raise ConfigError(message, remedy=remedy, place=place)
