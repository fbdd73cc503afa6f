"""All commands of `cnntrain`, by name."""

from __future__ import annotations

import re
import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any

import typer

from cnntrain.cli import (
    ablate,
    calibrate,
    check,
    compare,
    data,
    evaluate,
    fit,
    listing,
    new,
    predict,
    recalibrate,
    schema,
    show,
    summary,
)
from cnntrain.cli.habits import corrected
from cnntrain.cli.picture_groups import PictureCommands
from cnntrain.core.errors import UsageError
from cnntrain.core.launch import refuse_several
from cnntrain.core.problems import near_match
from cnntrain.core.version import __version__

EXIT_CODES = (
    "Exit codes: 0 done, 1 internal error (please report), 2 usage or configuration, 3 data, "
    "4 checkpoint, 5 diverged, 6 out of memory, 7 disk, 8 another process of the training ended, "
    "129 SIGHUP, 130 Ctrl-C, 143 SIGTERM."
)


_CHOICE = re.compile(r"'([^']*)' is not one of (.*)")


def _with_near_choice(message: str) -> str:
    """The message; where a choice is misspelt, with the one that was probably meant."""
    found = _CHOICE.match(message)
    near = near_match(found[1], re.findall("'([^']*)'", found[2])) if found else None
    return f"{message.rstrip('.')}; did you mean '{near}'?" if near else message


class _Commands(PictureCommands):
    """The commands; a wrong choice such as `--to onx` is said without pydantic's "Value error".

    A command line in another program's words is answered with the line that does it here.
    """

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Exception as error:
            said: Any = error
            if getattr(error, "exit_code", 0) == UsageError.exit_code:
                habit = corrected(sys.argv[1:], commands=self, context=ctx)
                if habit is not None:
                    raise habit from error
            if isinstance(getattr(error, "message", None), str):
                said.message = _with_near_choice(said.message.removeprefix("Value error, "))
            raise


app = typer.Typer(
    cls=_Commands,
    help="Train, check, explain and reuse convolutional networks that are described in YAML.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: no boxes, and no colours that NO_COLOR does not turn off
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _add_if_there(name: str) -> None:
    """Add the command of a room that no other room needs; it is absent with its file."""
    if find_spec(f"cnntrain.cli.{name}") is None:
        return
    module = import_module(f"cnntrain.cli.{name}")
    if hasattr(module, "app"):
        app.add_typer(module.app, name=name)
    else:
        app.command(name)(getattr(module, name))


app.command("fit")(fit.fit)
app.command("eval")(evaluate.evaluate)
app.command("predict")(predict.predict)
_add_if_there("report")
_add_if_there("export")
app.command("recalibrate")(recalibrate.recalibrate)
app.command("calibrate")(calibrate.calibrate)
_add_if_there("visualize")
_add_if_there("features")
app.command("ablate")(ablate.ablate)
app.command("check")(check.check)
app.command("show")(show.show)
app.command("summary")(summary.summary)
app.command("compare")(compare.compare)
_add_if_there("diagnose")
_add_if_there("bench")
app.command("list")(listing.listing)
app.command("schema")(schema.schema)
app.command("new")(new.new)
app.add_typer(data.app, name="data")


def _show_versions(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        others = (f"{name} {version(name)}" for name in ("torch", "torchvision"))
        typer.echo(f"cnntrain {__version__} ({', '.join(others)})")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    shows_version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the versions.", is_eager=True, callback=_show_versions
        ),
    ] = False,
) -> None:
    """Take the options that stand before a command."""
    if context.invoked_subcommand != "fit":
        refuse_several(f"`cnntrain {context.invoked_subcommand}`")
