"""`cnntrain visualize`: pictures of what a trained network has learned."""

import typer

from cnntrain.cli.picture_groups import VisualizeCommands

app = typer.Typer(
    cls=VisualizeCommands,
    help="Draw what a network has learned.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
