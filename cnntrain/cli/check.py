"""`cnntrain check`: everything that can be said of a run file without data or GPU."""

from __future__ import annotations

from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Overrides, checked_run_file
from cnntrain.config import shipped
from cnntrain.core.errors import ConfigError
from cnntrain.core.problems import Problem


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

        unknown = unknown_classes(checked.loaded)
        output.result(f"{file}: good ({size}){f' ({unknown})' if unknown else ''}")
    if problems:
        raise ConfigError.of(problems)
