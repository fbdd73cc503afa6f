"""`cnntrain visualize`: pictures of what a trained network has learned."""

import typer

from cnntrain.cli.visualize import decisions, layers

app = typer.Typer(
    help="Draw what a network has learned.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(layers.app)
app.add_typer(decisions.app)
