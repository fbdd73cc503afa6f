"""Finding a run again: from its folder, its name or one of its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cnntrain.config import shipped
from cnntrain.config.nearest import folded
from cnntrain.core.errors import CheckpointError, UsageError
from cnntrain.core.problems import near_match
from cnntrain.runs.folder import RUN_PATTERN, RunFolder
from cnntrain.show.words import listed

_ROOT = Path("runs")
"""Where runs usually are."""


@dataclass(frozen=True)
class FoundRun:
    """What a path on the command line meant.

    Args:
        run: the run folder; None for a checkpoint that lies outside of one.
        given: the checkpoint file, where the path named one.
        note: which run of a name it is, where that is not the newest one.
    """

    run: RunFolder | None
    given: Path | None = None
    note: str = ""

    def to_evaluate(self) -> Path:
        """The checkpoint file that was named, else the best one, else the last one."""
        return self._first("best", "last", "previous")

    def to_resume(self) -> Path:
        """The checkpoint file that was named, else the last one, else the one before it."""
        return self._first("last", "previous")

    def _first(self, *names: str) -> Path:
        if self.given is not None:
            return self.given
        assert self.run is not None
        for name in names:
            path = self.run.checkpoints / f"{name}.pt"
            if path.is_file():
                return path
        place = self.run.path
        if self.run.has_stages:
            raise CheckpointError(
                f"{place} has no checkpoint yet: its stages of pre-training are not done",
                remedy=f"continue it: cnntrain fit --resume {place}; each stage is a run: "
                f"{self.run.stages}/NAME",
            )
        others = [other for other in _runs(place.parent) if _has_checkpoint(other)]
        file = self.run.config if self.run.config.is_file() else "FILE"
        remedy = f"begin it again: cnntrain fit {file} --out {place} --resume auto"
        remedy += f"; {others[-1]} has some" if others else ""
        raise CheckpointError(
            f"{place} has no checkpoint: it ended before the first was written", remedy=remedy
        )


def run_file_at(path: Path) -> Path | None:
    """The run file that a path means, by `cnntrain.config.shipped.resolve`; None: it means a run.

    A run or a checkpoint that is there comes before a run file of that name.

    Raises:
        UsageError: it ends in .yaml, and there is none.
    """
    if path.suffix in (".yaml", ".yml"):
        return shipped.resolve(str(path))
    if path.is_file() or path.name == "latest" or has_run(path):
        return None
    beside = Path(f"{path}.yaml")
    return beside if beside.is_file() else shipped.find(str(path))


def find_run(path: Path, *, others: Sequence[str] = (), newest: bool = False) -> FoundRun:
    """Find a run from its folder, from `runs/NAME` (the latest of that name) or a checkpoint file.

    What a wrong path meant is guessed from the runs in `runs`, and from names of `others`.

    Args:
        path: what was given.
        others: names of what is not a run.
        newest: whether the latest of a name may be one that has not been trained yet, as in its
            first epoch, though an earlier one has.

    Raises:
        UsageError: nothing is there (with the nearest name that is), or several names are.
        CheckpointError: the folder or file there is not a run's, and not a checkpoint.
    """
    if path.is_file() and path.name != "latest":
        if path.suffix != ".pt":
            remedy = "give a .pt file or a run's folder"
            raise CheckpointError(f"{path} is not a checkpoint", remedy=remedy)
        owner = RunFolder(path.parent.parent)
        inside = path.parent.name == "checkpoints" and is_run(owner.path)
        return FoundRun(owner if inside else None, path)
    if path.name == "latest" and not path.is_dir():
        path = path.parent
    if is_run(path):
        return FoundRun(RunFolder(path))
    if not path.is_dir():
        raise _not_there(path, others)
    latest = _latest(path)
    if latest is not None:
        if not newest and not _is_trained(latest):
            latest = next((run for run in reversed(_runs(path)) if _is_trained(run)), latest)
        return FoundRun(RunFolder(latest), note=_not_newest(path, latest))
    names = sorted(child.name for child in _folders(path) if has_run(child))
    if names:
        remedy = f"add a name: {', '.join(names)}"
        raise UsageError(f"{path} is a folder of runs by name", remedy=remedy)
    raise CheckpointError(f"{path} is not a run's folder", remedy="it has no checkpoints in it")


def is_run(path: Path) -> bool:
    """Whether the folder is a run's."""
    return (path / "checkpoints").is_dir()


def has_run(path: Path) -> bool:
    """Whether the folder is a run's, or has runs by time."""
    return is_run(path) or _latest(path) is not None


def _latest(parent: Path) -> Path | None:
    """The run that `latest` points to, else the newest by its name; of those with a checkpoint."""
    pointer = parent / "latest"
    if pointer.is_file():
        pointer = parent / pointer.read_text(encoding="utf-8", errors="replace").strip()
    if _has_checkpoint(pointer) and pointer.resolve().parent == parent.resolve():
        return parent / pointer.resolve().name
    runs = _runs(parent)
    usable = [run for run in runs if _has_checkpoint(run)] or runs
    return usable[-1] if usable else None


def _not_newest(parent: Path, latest: Path) -> str:
    newest = runs_of(parent)[-1]
    if newest.name == latest.name:
        return ""
    why = "`latest` points to it" if _is_trained(newest) else "that one is not trained yet"
    why = why if _has_checkpoint(newest) else "that one has no checkpoint"
    return f"{parent} is {latest.name} here, not {newest.name}: {why}"


def _has_checkpoint(run: Path) -> bool:
    return any((run / "checkpoints").glob("*.pt")) or RunFolder(run).has_stages


def _is_trained(run: Path) -> bool:
    """Whether there is more than the checkpoint from before the first step."""
    return any((run / "checkpoints" / name).is_file() for name in ("best.pt", "previous.pt"))


def _runs(parent: Path) -> list[Path]:
    return [run for run in runs_of(parent) if is_run(run)]


def runs_of(parent: Path, *, suffix: str = "") -> list[Path]:
    """The folders of the runs of one name, in order of their times; `suffix` ends their names."""
    named = (child for child in _folders(parent) if child.name.endswith(suffix))
    return sorted(c for c in named if RUN_PATTERN.fullmatch(c.name.removesuffix(suffix)))


def _folders(parent: Path) -> list[Path]:
    try:
        return [child for child in parent.iterdir() if child.is_dir() and not child.is_symlink()]
    except OSError:
        return []


def _not_there(path: Path, others: Sequence[str]) -> UsageError:
    if len(path.parts) == 1 and _latest(_ROOT / path) is not None:
        return UsageError(f"there is no {path}", remedy=f"did you mean '{_ROOT / path}'?")
    try:
        beside = [child.name for child in path.parent.iterdir() if not child.name.startswith(".")]
    except OSError:
        return UsageError(f"there is no {path}", remedy=f"{path.parent} does not exist either")
    near = near_match(path.name, [*beside, *(others if len(path.parts) == 1 else ())])
    is_spelt_otherwise = near is not None and folded(near) == folded(path.name)
    if (arch := shipped.architecture_called(str(path))) and not is_spelt_otherwise:
        remedy = f"`cnntrain fit FILE -s arch=archs/{arch}.yaml` trains it with a run file"
        return UsageError(f"{path} is an architecture, not a run", remedy=remedy)
    meant = path.parent / near if near in beside else near
    there = sorted(child.name for child in _folders(path.parent) if has_run(child))
    hint = f"the runs there are {listed(there)}" if there else "check the path"
    hint = f"did you mean '{meant}'?" if near else hint
    return UsageError(f"there is no {path}", remedy=hint)
