"""`cnntrain check`: everything that can be said of a run file without data or GPU."""

from __future__ import annotations

from typing import Annotated

import typer

from cnntrain.cli import output
from cnntrain.cli.options import Overrides
from cnntrain.config import shipped
from cnntrain.config.load import load
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
            loaded = load(file, overrides or [])
            from cnntrain.assemble.networks import make_network, plan_network
            from cnntrain.assemble.transfer.freezing import what_learns
            from cnntrain.assemble.transfer.preprocessing import follow_weights
            from cnntrain.assemble.transfer.sources import name_rules

            loaded = follow_weights(loaded)
            plan = plan_network(loaded)
            make_network(plan, seed=loaded.config.seed, device="meta")
            what_learns(loaded, plan=plan)
            if loaded.config.finetune is not None:
                name_rules(loaded)
        except ConfigError as error:
            problems += error.problems
            continue
        text = (
            f"{file}: good ({plan.parameters:,} parameters, {plan.multiply_adds:,} multiply-adds)"
        )
        output.result(text)
    if problems:
        raise ConfigError.of(problems)
