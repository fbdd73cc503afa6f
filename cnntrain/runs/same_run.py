"""Whether a checkpoint is of the run in whose folder it lies: both have the run file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cnntrain.config.load import load_text
from cnntrain.config.loaded import Loaded
from cnntrain.config.named_plugins import Naming
from cnntrain.config.renamed import renamed_tree
from cnntrain.config.resolved import dump_yaml, resolved_tree
from cnntrain.core.document import parse_document, read_document
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.runs.folder import RunFolder
from cnntrain.show.words import listed

Tree: TypeAlias = Mapping[str, Any]

CHANGEABLE = (
    "train.epochs",
    "train.early_stop",
    "train.on_divergence",
    "data.root",
    "data.download",
    "data.workers",
    "data.memory",
    "data.fingerprint",
    "compute.device",
    "compute.copy_ahead",
    "compute.cuda_graphs",
    "compute.threads",
    "plugins",
    "record.every",
    "record.tensorboard",
    "record.checkpoint_every",
    "record.best_weights_only",
    "record.observers",
)
"""What `-s` may change when a run resumes: nothing that would make it another run."""

ABSENT = "nothing"
"""In place of a value: where an earlier version did not have the key, its default was meant."""


def refuse_foreign(text: str, *, path: Path, run: RunFolder, naming: Naming) -> str:
    """Refuse a checkpoint of another run than the one in whose folder it lies.

    What may change when a run resumes may differ, and `record`: best.pt is older than config.yaml
    where a run was resumed. Where there is no config.yaml, nothing is compared.

    Args:
        text: the run file that the checkpoint holds.
        path: the checkpoint.
        run: the folder.
        naming: what the names of plugins in both run files mean.

    Returns:
        What is to be said where config.yaml cannot be read; else nothing.

    Raises:
        CheckpointError: it names what differs.
    """
    if not run.config.exists():
        return ""
    try:
        document = read_document(run.config)
        if document.text == text:
            return ""
        there, here = document.data, parse_document(text, name=str(path)).data
    except ConfigError as error:
        problem = error.problems[0]
        what = f"{problem.place}: {problem.message}" if problem.place else problem.message
        return f"{what}; the run file in {path} is used"
    if not (isinstance(there, Mapping) and isinstance(here, Mapping)):
        return f"{run.config} is not a run file; the one in {path} is used"
    both = (document.text, renamed_tree(there)), (text, renamed_tree(here))
    trees = _filled_in(both, names=(run.config, path), naming=naming)
    words = [
        in_words(key, old, new, there=f"in {run.config.name}", here=f"in {path.name}")
        for key, old, new in differences(*trees)
        if changeable(key) is None and key[0] != "record"
    ]
    if not words:
        return ""
    raise CheckpointError(
        f"{path} is not a checkpoint of the run in {run.path}: {listed(words, most=3)}",
        remedy="put the run's own checkpoint there, and use this one in another folder; or, if "
        f"{run.config} was edited, undo that or delete it: the checkpoint holds the run file",
    )


def _filled_in(
    both: tuple[tuple[str, Tree], tuple[str, Tree]], *, names: tuple[Path, Path], naming: Naming
) -> tuple[Tree, Tree]:
    """The run files with defaults filled in, which an older one lacks; as they are if that fails.

    `both` are text and contents of each.
    """
    try:
        one, other = (
            plain_tree(load_text(text, file=name, plugins=naming))
            for (text, _), name in zip(both, names, strict=True)
        )
    except (ConfigError, CheckpointError):
        (_, one), (_, other) = both
    return one, other


def plain_tree(loaded: Loaded) -> Tree:
    """A run file with all defaults, as it is read back from config.yaml."""
    found: Tree = parse_document(dump_yaml(resolved_tree(loaded.config)), name="").data
    return found


def changeable(path: Sequence[str], allowed: Sequence[str] = CHANGEABLE) -> str | None:
    """The one of the keys that may change which a path is, or is below; None if it may not."""
    key = ".".join(path)
    return next((each for each in allowed if f"{key}.".startswith(f"{each}.")), None)


def differences(
    there: Tree, here: Tree, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """The path of each value that differs in two run files, and both values."""
    for key in {**there, **here}:
        old, new = there.get(key, ABSENT), here.get(key, ABSENT)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from differences(old, new, (*path, str(key)))
        elif old != new:
            yield (*path, str(key)), old, new


def in_words(path: Sequence[str], old: Any, new: Any, *, there: str, here: str) -> str:
    """`seed is 1 there and 2 here`, with these words for the places."""
    key = ".".join(path)
    if any(isinstance(value, Mapping | list) for value in (old, new)):
        return f"{key} differs"
    return f"{key} is {old} {there} and {new} {here}"
