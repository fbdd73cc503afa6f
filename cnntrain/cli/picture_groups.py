"""The groups of commands whose names are those of pictures; they are read when one is needed."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import typer
import typer.core
import typer.main

from cnntrain.core.errors import UsageError

_EXTRA = {"allow_extra_args": True}  # so that the command itself says what is wrong with them


class PictureCommand(typer.core.TyperCommand):
    """Says which word stands without an option; for an image `habits` has the remedy."""

    def invoke(self, ctx: Any) -> Any:
        """Run it."""
        if ctx.args:
            raise UsageError(f"{' '.join(ctx.args)} stands without an option", remedy="remove it")
        return super().invoke(ctx)


class PictureCommands(typer.core.TyperGroup):
    """Also has the catalogue's pictures that are commands of their own; read when one is needed."""

    own = True

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of all."""
        from cnntrain.cli.pictures import picture_command
        from cnntrain.core.choices import PICTURES

        for entry in PICTURES.entries():
            if entry.name not in self.commands and self.own == ("command" in entry.options):
                alone = typer.Typer(add_completion=False, rich_markup_mode=None)
                command = alone.command(entry.name, cls=PictureCommand, context_settings=_EXTRA)
                command(picture_command(entry))
                self.commands[entry.name] = typer.main.get_command(alone)
        return super().list_commands(ctx)

    def get_command(self, ctx: Any, name: str) -> Any:
        """The command of that name."""
        if name not in self.commands:
            self.list_commands(ctx)
        return super().get_command(ctx, name)


class VisualizeCommands(PictureCommands):
    """Has all other pictures; also those of a plugin that --plugin or the run's file names."""

    own = False

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """The command that is asked for."""
        from cnntrain.core.choices import PICTURES
        from cnntrain.core.trust import read_plugin

        words = [word for arg in args for word in arg.split("=", 1)]
        plugins = [Path(file) for option, file in pairwise(words) if option == "--plugin"]
        for file in plugins:
            PICTURES.add_plugin(read_plugin(file))
        if args and self.get_command(ctx, args[0]) is None:
            _add_plugins_of(args[1:], plugins)
        return super().resolve_command(ctx, args)


def _add_plugins_of(words: list[str], plugins: list[Path]) -> None:
    """Read the run file that one of the words names, and so what its plugins register."""
    from cnntrain.config.load import load
    from cnntrain.config.named_plugins import Naming
    from cnntrain.runs.asked_plugins import load_config
    from cnntrain.runs.locate import find_run, run_file_at

    path = next((Path(word) for word in words if Path(word).exists()), None)
    if path is None:
        return
    file = run_file_at(path)
    if file is not None:
        load(file, plugins=Naming.by_user(plugins))
    elif (run := find_run(path).run) is not None:
        load_config(run, plugins=plugins)
