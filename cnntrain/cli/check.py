"""`cnntrain check`: everything that can be said of a run file without data or GPU."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Overrides, checked_as_loaded, tried_run_file
from cnntrain.config import shipped
from cnntrain.core.errors import ConfigError, DataError
from cnntrain.core.problems import Problem

if TYPE_CHECKING:
    from cnntrain.config.loaded import Loaded


def check(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Run files, or names of shipped ones.")
    ],
    overrides: Overrides = None,
) -> None:
    """Check run files. Keys, values, layers and shapes are looked at; no image is read.

    What can be obeyed but can hardly be meant is noted, and a training that needs more memory than
    this machine has. That the folder of the images is not there is said, too; exit code 3 if
    nothing else is wrong.
    """
    problems: list[Problem] = []
    missing: list[Problem] = []
    for name in files:
        loaded: Loaded | None = None
        try:
            file = shipped.resolve(name)
            loaded, found = tried_run_file(name, overrides or [])
            checked = checked_as_loaded(loaded, found)
        except ConfigError as error:
            problems += error.problems
            with suppress(ConfigError):  # of what is wrong with the data, all is said
                problems += [] if loaded is None else _missing_images(loaded)
            continue
        plan = checked.plan
        size = f"{plan.parameters:,} parameters, {plan.multiply_adds:,} multiply-adds"
        from cnntrain.assemble.needed_memory import memory_note, needed_memory
        from cnntrain.assemble.networks import unknown_classes
        from cnntrain.assemble.remarks import network_remarks, recipe_remarks
        from cnntrain.core.units import byte_size

        known = [size, unknown_classes(checked.loaded), _held_out(checked.loaded)]
        remarks = [*network_remarks(checked.loaded, plan), *recipe_remarks(checked.loaded, plan)]
        notes = [*map(str, remarks)]
        config = checked.loaded.config
        is_probe = config.finetune is not None and config.finetune.probe  # only the head is trained
        if config.pretrain is not None:
            names = ", ".join(stage.to for stage in config.pretrain.stages)
            known.append(f"pre-trained in stages up to {names}")
        if config.train is not None and not is_probe:
            needed = needed_memory(checked.loaded, plan)
            known.append(f"training needs about {byte_size(needed.total)} of memory")
            notes += filter(None, [memory_note(checked.loaded, plan, needed)])
        absent = _missing_images(checked.loaded)
        verdict = "good but for its images, which are not there" if absent else "good"
        output.result(f"{file}: {verdict} {' '.join(f'({each})' for each in known if each)}")
        for note in notes:
            output.note(f"note: {file}: {note}")
        missing += absent
    if problems:
        raise ConfigError.of([*problems, *missing])
    for problem in missing[:1]:
        raise DataError(problem.message, remedy=problem.remedy, place=problem.place)


def _missing_images(loaded: Loaded) -> list[Problem]:
    """What is wrong with the place of the images, if their folders can be looked at."""
    from cnntrain.data.metadata import look

    data = loaded.config.data
    try:
        look(data.name, data.parameters)
    except DataError as error:
        key = next((key for key in ("root", "file") if key in data.parameters), "name")
        found = error.problems[0]
        return [loaded.problem(("data", key), found.message, found.remedy)]
    return []


def _held_out(loaded: Loaded) -> str:
    """Which images will be held out of the training images; nothing if none."""
    from cnntrain.config.section import FoldOf
    from cnntrain.data.metadata import USUAL_SHARE, facts

    data = loaded.config.data
    asked = data.split.validation
    if asked is None and facts(data.name, data.parameters).undivided:
        asked = USUAL_SHARE
    share = f"fold {asked.fold} of {asked.of}" if isinstance(asked, FoldOf) else asked
    shares = {"validation": share, "test": data.split.test, "trained on": data.split.train}
    found = [f"{split} {share}" for split, share in shares.items() if share]
    seed = data.holdout(seed=loaded.config.seed).seed
    return f"held out: {', '.join(found)}, seed {seed}" if found else ""
