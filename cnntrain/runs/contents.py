"""The parts of a run's checkpoint besides the learner's, checked as they are taken out.

Each function raises a CheckpointError if the checkpoint does not hold what it is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cnntrain.checkpoint import LAST, PREVIOUS, State, StoredCheckpoint, load, load_newest
from cnntrain.checkpoint.checked_values import mapping_in, whole_in, wrong_part
from cnntrain.config.load import load_text
from cnntrain.config.loaded import Loaded
from cnntrain.core.document import parse_document
from cnntrain.core.errors import CheckpointError, ConfigError
from cnntrain.core.escapes import breaks_lines
from cnntrain.data import TRANSFORMS
from cnntrain.data.image_targets import uncorrupted
from cnntrain.data.pipeline import build_eval_pipeline
from cnntrain.data.transform_errors import TransformError
from cnntrain.runs.asked_plugins import Asked
from cnntrain.runs.folder import RunFolder
from cnntrain.runs.kept_run_file import kept_in
from cnntrain.runs.locate import FoundRun
from cnntrain.runs.records import read_json
from cnntrain.runs.same_run import refuse_foreign

_FOREIGN = "it was not written by `cnntrain fit`"
_INCOMPLETE = "use another checkpoint"


@dataclass(frozen=True)
class Contents:
    """What a checkpoint that is to be used holds, and what its user must know of it."""

    path: Path
    state: State
    notes: tuple[str, ...]


def open_checkpoint(path: Path, *, run: RunFolder | None) -> Contents:
    """Read a checkpoint, which must be of the run in whose folder it lies.

    Raises:
        CheckpointError: it is missing or damaged, or of another run; or best.pt is not the best.
    """
    state = load(path)
    opened = belonging(state, path=path, run=run)
    if run is not None and path == run.best:
        _refuse_not_best(state, path)
    return opened


def belonging(state: State, *, path: Path, run: RunFolder | None) -> Contents:
    """What was read from a checkpoint; refused if it is of another run (see `refuse_foreign`)."""
    text, said = state.get("config"), ""
    if run is not None and isinstance(text, str):
        asked = Asked(path, run, hashes=_hashes_in(state, path=path))
        said = refuse_foreign(text, path=path, run=run, naming=asked.naming())
    return Contents(path, state, (said,) if said else ())


def _refuse_not_best(state: State, path: Path) -> None:
    """best.pt was saved at the end of an epoch that was the best so far."""
    train = mapping_in(state, "train") if "train" in state else {}
    best = train.get("best_epoch")
    if best is not None and (train.get("batch") or best != train.get("epoch")):
        raise CheckpointError(
            f"{path} does not hold the best weights: it is of {moment_in(state)}, and says that "
            f"those of epoch {best} are the best",
            remedy="put the run's own best.pt there; was it exchanged with last.pt?",
        )


def moment_in(state: State) -> str:
    """When a state was saved, in words."""
    train = mapping_in(state, "train") if "train" in state else {}
    epoch = train.get("epoch")
    if train.get("batch") and isinstance(epoch, int):
        return f"the middle of epoch {epoch + 1}"
    return f"epoch {epoch}"


def newest_checkpoint(folder: Path) -> StoredCheckpoint:
    """The checkpoint in a folder that was saved last, which `last.pt` is unless files were moved.

    Raises:
        CheckpointError: there is no intact one.
    """
    newest = load_newest(folder)
    if newest.path.name != LAST:
        return newest
    try:
        before = load(folder / PREVIOUS)
    except CheckpointError:
        return newest
    if _order(before) <= _order(newest.state):
        return newest
    why = f"{newest.path} was saved before {PREVIOUS}"
    return StoredCheckpoint(folder / PREVIOUS, before, (*newest.skipped, why))


def _order(state: State) -> tuple[int, int]:
    """Rollbacks and steps: a rollback goes back to an earlier step."""
    train = mapping_in(state, "train") if "train" in state else {}
    rollbacks, step = (train.get(name, 0) for name in ("rollbacks", "step"))
    return (rollbacks, step) if isinstance(rollbacks, int) and isinstance(step, int) else (0, 0)


def contents_to_evaluate(found: FoundRun) -> Contents:
    """The checkpoint of a run that is evaluated.

    Raises:
        CheckpointError: see `open_checkpoint`.
    """
    path = found.to_evaluate()
    opened = open_checkpoint(path, run=found.run)
    state = opened.state
    train = state.get("train")
    notes = [found.note] if found.note else []
    if found.run is not None and path == found.run.best:
        notes += _other_best(found.run, epoch_in(state)[0])
    if isinstance(train, dict):
        known = {name: value for name, value in train.items() if isinstance(value, int)}
        best, epoch, step = (known.get(name) for name in ("best_epoch", "epoch", "step"))
        if step == 0:
            notes.append(f"{path} is not trained yet (step 0)")
        elif found.given is None and path.name != "best.pt" and (best is not None or epoch == 0):
            lost = f"best.pt is missing (the weights of epoch {best})"
            why = "validation has selected no weights yet" if best is None else lost
            notes.append(f"{why}, so {path.name} is used: epoch {epoch}, step {step}")
    return Contents(path, state, (*opened.notes, *notes))


def _other_best(run: RunFolder, epoch: int) -> list[str]:
    """What to say where summary.json has another best epoch than best.pt."""
    try:
        best = read_json(run.summary).get("best_epoch", epoch)
    except CheckpointError:
        return []  # the run is not done, or what only people read is damaged
    return [] if best == epoch else [f"{run.best} is of epoch {epoch}; summary.json says {best}"]


def read_run_file(
    state: State,
    *,
    path: Path,
    overrides: Sequence[str] = (),
    run: RunFolder | None = None,
    plugins: Sequence[Path] = (),
) -> Loaded:
    """The run file that a checkpoint holds.

    Args:
        state: the checkpoint.
        path: what to call it.
        overrides: changes from the command line.
        run: the folder of its run, which may have copies of its plugins.
        plugins: files that the user names, beside or in place of those that it asks for.

    Raises:
        ConfigError: the changes do not fit.
        CheckpointError: what the run file asks for is unknown here, or a plugin never named.
    """
    text = state.get("config")
    if not isinstance(text, str):
        raise CheckpointError(f"{path} holds no run file", remedy=_FOREIGN)
    asked = Asked(path, run, hashes=_hashes_in(state, path=path), given=plugins)
    with kept_in(path, overrides):
        try:
            loaded = load_text(text, file=path, overrides=overrides, plugins=asked.naming())
        except ConfigError as error:
            if _has_keys(text, path):  # what is wrong with them has been said
                raise
            raise CheckpointError(f"{path} holds no run file", remedy=_FOREIGN) from error
    return of_a_run(asked.noted(loaded), overrides)


def of_a_run(loaded: Loaded, overrides: Sequence[str]) -> Loaded:
    """A run file that came with a run: only what the user names now reaches the network."""
    given = {each.partition("=")[0].strip() for each in overrides}
    return replace(
        loaded,
        may_download="data.download" in given,
        names_observers="record.observers" in given,
    )


def _hashes_in(state: State, *, path: Path) -> dict[str, str]:
    """The hashes of the run's plugins, by name; none in an older checkpoint."""
    found = state.get("plugins", {})
    if isinstance(found, dict) and all(isinstance(x, str) for pair in found.items() for x in pair):
        return found
    raise CheckpointError(f"{path} does not say which plugins it needs", remedy=_INCOMPLETE)


def _has_keys(text: str, path: Path) -> bool:
    """Whether this is YAML with keys."""
    try:
        return isinstance(parse_document(text, name=str(path)).data, dict)
    except ConfigError:
        return False


def classes_in(state: State, *, path: Path) -> tuple[str, ...]:
    """The class names, in the order of the outputs."""
    found = state.get("classes")
    if isinstance(found, list) and found and all(isinstance(item, str) for item in found):
        return sound_classes(found, path=path)
    raise CheckpointError(f"{path} holds no classes", remedy=_FOREIGN)


def sound_classes(names: Sequence[str], *, path: Path) -> tuple[str, ...]:
    """The names, none of which may break a line: no data set has such classes."""
    if bad := [name for name in names if breaks_lines(name)]:
        message = f"{path} has the class '{bad[0]}', with a control character in its name"
        raise CheckpointError(message, remedy=_FOREIGN)
    return tuple(names)


def steps_in(state: State, *, path: Path) -> tuple[dict[str, Any], ...]:
    """How images were prepared for evaluation."""
    transforms = state.get("transforms")
    steps = transforms.get("eval") if isinstance(transforms, dict) else None
    if not isinstance(steps, list):
        raise CheckpointError(f"{path} holds no preprocessing", remedy=_INCOMPLETE)
    for step in steps:
        if not isinstance(step, dict) or not isinstance(step.get("name"), str):
            raise wrong_part("transforms", "eval", steps, "a list of transforms")
    if all(TRANSFORMS.find(step["name"]) for step in steps):  # or else it is said what is unknown
        try:
            build_eval_pipeline(uncorrupted(steps))
        except (TransformError, ConfigError) as error:
            reason = error.problems[0].message if isinstance(error, ConfigError) else str(error)
            message = f"the checkpoint's part 'transforms' is damaged: {reason}"
            raise CheckpointError(message, remedy=_INCOMPLETE) from error
    return tuple(dict(step) for step in steps)


def known_steps_in(state: State, *, path: Path) -> tuple[dict[str, Any], ...]:
    """As `steps_in`, with each transform known here, and all its parameters."""
    steps = steps_in(state, path=path)
    unknown = next((step["name"] for step in steps if not TRANSFORMS.find(step["name"])), None)
    if unknown is not None:
        raise CheckpointError(
            f"{path} prepares images with the unknown transform '{unknown}'",
            remedy="name the plugin that it comes from (--plugin FILE), or update cnntrain, if a "
            "newer version wrote it",
        )
    return tuple(
        {"name": step["name"], **TRANSFORMS.entry(step["name"]).completed(step)} for step in steps
    )


def counts_in(state: State) -> list[int] | None:
    """The training images of each class; None in checkpoints of before they were saved."""
    counts = state.get("counts")
    if counts is None or (isinstance(counts, list) and all(type(n) is int for n in counts)):
        return counts
    raise wrong_part("counts", "", counts, "a list of whole numbers")


def epoch_in(state: State) -> tuple[int, bool]:
    """The epoch that the state was saved after, 0 if it is unknown; and whether it was the best."""
    if "train" not in state:
        return 0, False
    train = mapping_in(state, "train")
    epoch = whole_in(train, "epoch", part="train")
    return epoch, train.get("best_epoch") == epoch


def temperature_in(state: State) -> float:
    """By what logits are divided before the softmax; 1 where no one has calibrated the weights."""
    found = state.get("temperature", 1.0)
    if type(found) is float and math.isfinite(found) and found > 0:
        return found
    raise wrong_part("temperature", "", found, "a number above 0")


def weights_in(state: State, *, path: Path) -> tuple[str, dict[str, Any]]:
    """The weights that the run evaluated, and which they are: `ema` (the average), or `model`."""
    part = "model" if state.get("ema") is None else "ema"
    if part not in state:
        raise CheckpointError(f"{path} holds no weights", remedy=_INCOMPLETE)
    return part, mapping_in(state, part)
