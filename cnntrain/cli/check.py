"""`cnntrain check`: everything that can be said of a run file without data or GPU."""

from __future__ import annotations

from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Overrides, checked_run_file
from cnntrain.config import shipped
from cnntrain.config.loaded import Loaded
from cnntrain.config.section import FoldOf
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem
from cnntrain.data.metadata import USUAL_SHARE, facts


def check(
    files: Annotated[
        list[str], typer.Argument(metavar="FILE...", help="Run files, or names of shipped ones.")
    ],
    overrides: Overrides = None,
) -> None:
    """Check run files. Keys, values, layers and shapes are looked at; no data are read."""
    problems: list[Problem] = []
    for name in files:
        try:
            file = shipped.resolve(name)
            checked = checked_run_file(name, overrides or [])
        except ConfigError as error:
            problems += error.problems
            continue
        plan = checked.plan
        size = f"{plan.parameters:,} parameters, {plan.multiply_adds:,} multiply-adds"
        from cnntrain.assemble.networks import unknown_classes

        known = [size, unknown_classes(checked.loaded), _held_out(checked.loaded)]
        output.result(f"{file}: good {' '.join(f'({each})' for each in known if each)}")
    if problems:
        raise ConfigError.of(problems)


def _held_out(loaded: Loaded) -> str:
    """Which images will be held out of the training images; nothing if none."""
    data = loaded.config.data
    asked = data.split.validation
    if asked is None and facts(data.name, data.parameters).undivided:
        asked = USUAL_SHARE
    share = f"fold {asked.fold} of {asked.of}" if isinstance(asked, FoldOf) else asked
    shares = {"validation": share, "test": data.split.test}
    found = [f"{split} {share}" for split, share in shares.items() if share]
    seed = data.holdout(seed=loaded.config.seed).seed
    return f"held out: {', '.join(found)}, seed {seed}" if found else ""
