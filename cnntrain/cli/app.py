"""The `cnntrain` command: its commands, its exit codes, and what becomes of an error."""

from __future__ import annotations

import errno
import os
import sys
import traceback
from importlib.metadata import version
from typing import Annotated

import typer

import cnntrain
from cnntrain.cli import (
    check,
    data,
    evaluate,
    fit,
    listing,
    new,
    predict,
    schema,
    show,
    summary,
)
from cnntrain.core.errors import CnntrainError, DiskError, MemoryExhaustedError, UsageError

EXIT_CODES = (
    "Exit codes: 0 done, 1 a bug of ours, 2 usage or configuration, 3 data, 4 checkpoint, "
    "5 diverged, 6 out of memory, 7 disk, 130 Ctrl-C, 143 SIGTERM after saving."
)

app = typer.Typer(
    help="Train, check, explain and reuse convolutional networks that are described in YAML.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("fit")(fit.fit)
app.command("eval")(evaluate.evaluate)
app.command("predict")(predict.predict)
app.command("check")(check.check)
app.command("show")(show.show)
app.command("summary")(summary.summary)
app.command("list")(listing.listing)
app.command("schema")(schema.schema)
app.command("new")(new.new)
app.add_typer(data.app, name="data")


@app.callback()
def _options(
    shows_version: Annotated[
        bool, typer.Option("--version", help="Print the versions and stop.", is_eager=True)
    ] = False,
) -> None:
    if shows_version:
        names = ("torch", "torchvision")
        parts = [f"{name} {version(name)}" for name in names]
        typer.echo(f"cnntrain {cnntrain.__version__} ({', '.join(parts)})")
        raise typer.Exit


def main() -> None:
    """Run the command line; every error ends in one message and the exit code of its kind."""
    try:
        app()
    except CnntrainError as error:
        _fail(str(error), error.exit_code)
    except KeyboardInterrupt:
        _fail("stopped by Ctrl-C", 130)
    except BrokenPipeError:  # the reader of our output went away, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except MemoryError:
        _fail("the machine's memory is used up; use a smaller data.batch_size", 6)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            _fail(f"the disk is full: {error.filename or error}", DiskError.exit_code)
        kind = UsageError if error.filename else CnntrainError
        _fail(
            f"{error.strerror}: {error.filename}" if error.filename else str(error), kind.exit_code
        )
    except Exception as error:  # noqa: BLE001  # the last resort: said in one line, as a bug
        if type(error).__name__ == "OutOfMemoryError":
            message = "the device's memory is used up; use a smaller data.batch_size, or "
            message += (
                "train.accumulate to pass each batch in parts, or compute.precision: bfloat16"
            )
            _fail(message, MemoryExhaustedError.exit_code)
        _fail(
            f"this is a bug in cnntrain: {type(error).__name__}: {error} "
            "(CNNTRAIN_DEBUG=1 shows the traceback)",
            1,
        )


def _fail(message: str, code: int) -> None:
    if os.environ.get("CNNTRAIN_DEBUG") == "1":
        traceback.print_exc()
    print(f"error: {message}" if "\n" not in message else message, file=sys.stderr)  # noqa: T201
    sys.exit(code)
